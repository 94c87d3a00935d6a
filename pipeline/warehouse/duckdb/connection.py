"""Opens DuckDB connections, in memory or read-only to a warehouse file, and runs queries."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.errors import TitlerError, UsageError
from pipeline.warehouse.duckdb.differences_from_bigquery import translate
from pipeline.warehouse.query import Query
from pipeline.warehouse.sql_parser import table_function


def open_in_memory(memory_gib: float = 0) -> duckdb.DuckDBPyConnection:
    """Opens an in-memory database with the time zone UTC. `memory_gib` limits its memory; 0 stands for
    DuckDB's default limit. Data that does not fit into the memory is written to a temporary folder."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET temp_directory = {quote(str(Path(tempfile.gettempdir()) / 'titler-duckdb'))}")
    if memory_gib:
        connection.execute(f"SET memory_limit = '{int(memory_gib * 1024)}MiB'")
    return connection


def out_of_space(reading: str, error: duckdb.Error) -> TitlerError:
    """Returns the error for memory or disk space that ran out. `reading` says what DuckDB was reading."""
    return TitlerError(
        f"DuckDB ran out of space while reading {reading}: {error}",
        "Close other programs to free memory, or raise the setting warehouse.memory_gib if it is set. If the "
        f"disk is full, make room in {tempfile.gettempdir()}, or set TMPDIR to a folder with more space. "
        "Then run the same command again.",
    )


def open_warehouse_file(path: Path) -> duckdb.DuckDBPyConnection:
    """Opens a read-only connection to a DuckDB file that contains a release. Raises TitlerError if DuckDB
    cannot read the file.

    The file is attached to a new in-memory database. If it were opened directly, two connections of one
    process would share the same database.
    """
    connection = open_in_memory()
    try:
        connection.execute(f"ATTACH {quote(str(path))} AS warehouse (READ_ONLY)")
        connection.execute("USE warehouse")
    except duckdb.Error as error:
        connection.close()
        raise TitlerError(
            f"{path} is not a warehouse file that this version of DuckDB can read: {error}",
            "Close other programs that have this file open. If that does not help:\n"
            f"Delete the file {path}\n"
            "Then write it again from the lake: titler rollback RELEASE\n"
            "RELEASE is the current release. To see its name: titler status",
        ) from None
    return connection


def run_query(connection: duckdb.DuckDBPyConnection, query: Query) -> pa.Table:
    """Runs a query and returns its rows.

    Raises UsageError if the query fails. The error lists the available views and table functions.
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
            f"The query {query.name} cannot be run: {error}",
            f"The views are: {views}\nThe table functions are: {functions}",
        ) from None


def quote(text: str) -> str:
    """Returns `text` as a string literal of DuckDB."""
    return "'" + text.replace("'", "''") + "'"
