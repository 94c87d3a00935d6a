"""Corrects the views of a DuckDB file after the file and the lake were moved or copied.

The corrected views read the lake's files in the new place.

DuckDB resolves a relative path against the folder of the program that reads the view, not against the folder
of the file. So the views have absolute paths, which must be replaced after a move.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import duckdb

from pipeline import contracts
from pipeline.errors import TitlerError
from pipeline.warehouse.duckdb.comments import write_comments
from pipeline.warehouse.duckdb.connection import open_warehouse_file, quote
from pipeline.warehouse.duckdb.release_file import temporary_path

_PATH = re.compile(r"read_parquet\([^']*'((?:[^']|'')+)'", re.IGNORECASE)
_COMMENTS = """
SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal AND comment IS NOT NULL
UNION ALL
SELECT view_name, NULL, comment FROM duckdb_views() WHERE NOT internal AND comment IS NOT NULL
"""


def outdated_views(path: Path, folder: Path) -> dict[str, str]:
    """Finds the views of the DuckDB file at `path` that read Parquet files outside of the lake's folder
    `folder`. Returns a dict from the name of each view to the SQL statement that replaces the view: the new
    view reads the files with the same names in `folder`. Raises TitlerError if the DuckDB file cannot be
    read."""
    new_prefix = quote(f"{folder}/")[:-1]
    statements = {}
    with open_warehouse_file(path) as connection:
        views = connection.execute("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal").fetchall()
    for name, sql in views:
        former_folder = _folder_of(str(name), str(sql))
        if former_folder is not None and quote(former_folder)[:-1] != new_prefix:
            moved = str(sql).replace(quote(former_folder)[:-1], new_prefix)
            statements[str(name)] = re.sub(r"^CREATE VIEW", "CREATE OR REPLACE VIEW", moved)
    return statements


def move_views(path: Path, folder: Path) -> bool:
    """Changes the views of the DuckDB file at `path` so that they read the Parquet files in the lake's folder
    `folder`.

    Writes a new file, which replaces the old one in one step, and returns True. If the views already read
    from `folder`, writes nothing and returns False. Raises TitlerError if one of the Parquet files cannot be
    read. The caller must hold the publish lock.
    """
    statements, staged = outdated_views(path, folder), temporary_path(path)
    if not statements:  # another process has moved them
        return False
    try:
        shutil.copyfile(path, staged)
        with duckdb.connect(str(staged)) as connection:
            comments = connection.execute(_COMMENTS).fetchall()
            for name, statement in statements.items():
                connection.execute(statement)
                of_view = {column: comment for view, column, comment in comments if view == name}
                write_comments(connection, "VIEW", name, of_view.pop(None, None), of_view)
        os.replace(staged, path)
        return True
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]  # the other lines show the whole statement
        raise TitlerError(
            f"The views of {path} cannot read the files of this lake: {reason}",
            "Publish the release again: titler publish --release RELEASE",
        ) from None
    finally:
        staged.unlink(missing_ok=True)


def _folder_of(view: str, sql: str) -> str | None:
    """Finds the lake whose files a view reads. Returns the lake's folder, with a slash at its end, or None if
    the view reads no files."""
    path = _PATH.search(sql)
    if view not in contracts.TABLES or path is None:
        return None
    folder, slash, _ = path[1].replace("''", "'").rpartition(f"/{view}/")
    return f"{folder}/" if slash else None
