"""Writes comments on the tables, views, functions and columns of a DuckDB file.

This query shows the comments on the columns:

SELECT table_name, column_name, comment FROM duckdb_columns()
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from pipeline import contracts
from pipeline.warehouse.duckdb.connection import quote
from pipeline.warehouse.protocol import WAREHOUSE_TABLES
from pipeline.warehouse.query import Query
from pipeline.warehouse.view_columns import columns_of


def comment_on_everything(connection: duckdb.DuckDBPyConnection) -> None:
    """Writes the comments of all tables, views and functions. The texts are from the contracts and, for views
    and functions, also from `sql/`."""
    stored = {str(row[0]) for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    for name in sorted(WAREHOUSE_TABLES):
        table = contracts.TABLES[name]
        columns = {field.name: field.metadata[b"description"].decode() for field in table.warehouse_schema}
        kind = "TABLE" if name in stored else "VIEW"
        schema = table.schema if name in stored else table.warehouse_schema
        write_comments(connection, kind, name, table.prose, {each: columns[each] for each in schema.names})
    for view in Query.folder("views"):
        prose = {name: column.prose for name, column in columns_of(view).items()}
        write_comments(connection, "VIEW", view.stem, view.prose, prose)
    for function in Query.folder("functions"):
        connection.execute(f"COMMENT ON MACRO TABLE {function.stem} IS {quote(function.prose)}")


def write_comments(
    connection: duckdb.DuckDBPyConnection, kind: str, name: str, prose: str | None, columns: Mapping[str, str]
) -> None:
    """Writes the comments of a table or a view, and of its columns. `kind` is TABLE or VIEW."""
    if prose is not None:
        connection.execute(f"COMMENT ON {kind} {name} IS {quote(prose)}")
    for column, description in columns.items():
        connection.execute(f'COMMENT ON COLUMN {name}."{column}" IS {quote(description)}')
