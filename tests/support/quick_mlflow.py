"""MLflow whose databases are copies of a first one, because creating the tables takes a second."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.tracking import registry, sqlite_aliases

_folder = TemporaryDirectory(prefix="titler-mlflow-")


def copy_initial_database() -> None:
    """From now on in this process, a new database of MLflow in SQLite is a copy."""
    registry.open_sqlite = _copy_and_open  # type: ignore[attr-defined]  # a name that the module imports


def _copy_and_open(path: Path) -> None:
    if not path.exists() and path.parent.is_dir():
        shutil.copyfile(_initial_database(), path)
    sqlite_aliases.open_sqlite(path)


@cache
def _initial_database() -> Path:
    from mlflow import MlflowClient

    path = Path(_folder.name) / "mlflow.db"
    MlflowClient(f"sqlite:///{path}", f"sqlite:///{path}").search_experiments()
    return path
