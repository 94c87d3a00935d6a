"""Updates the addresses of artifacts in MLflow's SQLite file, after this file and the artifacts were moved.

Each run and each model has a folder of files. MLflow stores the absolute address of this folder, and has no
function that changes it. So this module writes directly into MLflow's tables, which are not a public
interface. A table or column that the installed version of MLflow does not have is skipped.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

_ADDRESSES = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("experiments", "artifact_location"),
)
"""The columns with addresses of files: table and column."""


def move_artifacts(database: Path, experiment: str, folder: Path) -> bool:
    """Changes the addresses that MLflow stores for the files of an experiment, after these files were moved
    to `folder`.

    `database` is MLflow's SQLite file. All addresses below the experiment's former folder are changed, in one
    transaction. The registered model's description contains the address of the SQLite file. This address is
    changed in the same transaction. Returns False, and changes nothing, in these cases:

    - The addresses are already below `folder`.
    - The file `database` does not exist, or has no such experiment.
    - The former folder is not a local folder with the same name as `folder`.

    Raises sqlite3.Error if the file cannot be written.
    """
    if not database.is_file():
        return False
    address = folder.absolute().as_uri()
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        former = _location(connection, experiment)
        if former is None or former == address or not _is_same_kind(former, folder):
            return False
        connection.execute("BEGIN IMMEDIATE")
        for table, column in _ADDRESSES:
            if _has_column(connection, table, column):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || SUBSTR({column}, ?) "
                    f"WHERE {column} = ? OR SUBSTR({column}, 1, ?) = ?",
                    (
                        address,
                        len(former) + 1,
                        former,
                        len(former) + 1,
                        f"{former}/",
                    ),
                )
        if _has_column(connection, "registered_models", "description"):  # it says how to open MLflow
            former_database = Path(unquote(urlsplit(former).path)).with_name(database.name)
            connection.execute(
                "UPDATE registered_models SET description = REPLACE(description, ?, ?)",
                (f"sqlite:///{former_database}", f"sqlite:///{database.absolute()}"),
            )
        connection.execute("COMMIT")
    return True


def _location(connection: sqlite3.Connection, experiment: str) -> str | None:
    """Returns the address of the folder with an experiment's files, or None if there is no such
    experiment."""
    try:
        rows = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", (experiment,))
        return next((str(row[0]) for row in rows if row[0]), None)
    except sqlite3.OperationalError:  # the file is empty: MLflow has not used it yet
        return None


def _has_column(connection: sqlite3.Connection, table: str, column: str) -> bool:
    return any(row[1] == column for row in connection.execute(f"PRAGMA table_info({table})"))


def _is_same_kind(address: str, folder: Path) -> bool:
    return address.startswith("file://") and address.rpartition("/")[2] == folder.name
