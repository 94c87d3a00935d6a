"""Reads from MLflow's SQLite file which version of a model has an alias.

Importing MLflow takes two seconds of processor time, and most commands need nothing from MLflow except the
champion. The tables of the file are not a public interface of MLflow. So if anything in the tables is not as
expected, MLflow itself is used, and reports its own errors.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_QUERY = """
SELECT v.version, v.run_id, t.key, t.value
FROM registered_model_aliases AS a
JOIN model_versions AS v ON v.workspace = a.workspace AND v.name = a.name AND v.version = a.version
JOIN model_version_tags AS t ON t.workspace = v.workspace AND t.name = v.name AND t.version = v.version
WHERE a.name = ? AND a.alias = ?
"""


@dataclass(frozen=True)
class AliasedVersion:
    """A version of a registered model that was found by its alias: its number, its run, and its tags."""

    version: str
    run_id: str
    tags: Mapping[str, str]


def aliased_version(database: Path, model_name: str, alias: str) -> AliasedVersion | None:
    """Returns the version of the registered model that has the alias `alias`.

    Returns None if the file `database` has no such version, or more than one, or if the file cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(_QUERY, (model_name, alias)).fetchall()
    except sqlite3.Error:
        return None
    versions = {(str(version), str(run_id)) for version, run_id, _, _ in rows}
    if len(versions) != 1:  # no such alias, or models of the same name in several workspaces
        return None
    return AliasedVersion(*versions.pop(), {key: value for _, _, key, value in rows})


def open_sqlite(path: Path) -> None:
    """Checks that the file can be opened. If it cannot, raises sqlite3.Error at once. Without this check,
    MLflow would retry for minutes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA schema_version")
