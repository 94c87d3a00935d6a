"""DuckDB connections: in memory, and read-only to a warehouse file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.errors import TitlerError, UsageError
from pipeline.warehouse.duckdb.bigquery_sql_in_duckdb import translate
from pipeline.warehouse.query import Query
from pipeline.warehouse.sql_parser import table_function


def open_in_memory() -> duckdb.DuckDBPyConnection:
    """A connection in UTC that spills to the folder for temporary files."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET temp_directory = {quote(str(Path(tempfile.gettempdir()) / 'titler-duckdb'))}")
    return connection


def open_warehouse_file(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a warehouse file. Raises TitlerError if DuckDB cannot read the file.

    The file is attached, not opened: within a process DuckDB would share one database among all connections
    to one path.
    """
    connection = open_in_memory()
    try:
        connection.execute(f"ATTACH {quote(str(path))} AS warehouse (READ_ONLY)")
        connection.execute("USE warehouse")
    except duckdb.Error as error:
        connection.close()
        raise TitlerError(
            f"{path} is not a warehouse file of this DuckDB: {error}",
            "Publish again: titler publish --release R",
        ) from None
    return connection


def run_query(connection: duckdb.DuckDBPyConnection, query: Query) -> pa.Table:
    """The rows of a query.

    Raises UsageError, which lists the views and table functions, if it does not run.
    """
    translation = translate(query.sql)
    try:
        return connection.sql(translation.sql, params=query.binding(translation.parameters)).to_arrow_table()
    except duckdb.Error as error:
        views = ", ".join(view.stem for view in Query.folder("views"))
        functions = ", ".join(
            f"{function.stem}({', '.join(table_function(function.sql).arguments)})"
            for function in Query.folder("functions")
        )
        raise UsageError(
            f"{query.name} does not run: {error}", f"The views are: {views}\nThe table functions: {functions}"
        ) from None


def quote(text: str) -> str:
    """A string literal of DuckDB."""
    return "'" + text.replace("'", "''") + "'"
