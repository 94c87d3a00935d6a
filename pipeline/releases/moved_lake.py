"""Makes a lake usable in another folder than the one where it was made, after somebody moved or copied it.

All paths inside the lake are relative to it, with two exceptions: DuckDB's file has views with the absolute
paths of Parquet files, and MLflow's SQLite file has the absolute paths of the files of its runs. If these
paths were not changed, a copy of the lake would go on reading the files of the original lake, as long as they
exist. So the first command in the new place changes the paths in both files, and writes only in the new
place. The lake's file LOCATION says where the lake was used last. So a later command in the same place
notices that no change is needed.

A warehouse or an MLflow database outside of the lake is not changed, because other lakes may use it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import warehouse
from pipeline.errors import LakeError, TitlerError
from pipeline.releases.current import POINTER

if TYPE_CHECKING:
    from pipeline.lake.batches import Lake
    from pipeline.settings import Settings

LOCATION = "location.txt"
"""A file with the absolute path of the lake's folder, if the lake is a folder."""
_SQLITE = "sqlite:///"


def record_location(lake: Lake) -> None:
    """Records the folder of the lake in its file LOCATION, unless it is recorded already."""
    root = _folder(lake)
    if root is not None and _recorded(lake) != str(root):
        lake.put(LOCATION, f"{root}\n".encode())


def adopt_moved_lake(lake: Lake, settings: Settings) -> str | None:
    """Adapts a lake whose folder was moved or copied: changes the warehouse and MLflow's database in it, so
    that they refer to the files in the new place.

    Returns None if nothing had to be changed. Otherwise returns a message for the user. The message says what
    was changed, or why a file could not be changed. If a file could not be changed, the next command tries
    again.
    """
    root = _folder(lake)
    if root is None:
        return None
    try:
        recorded = _recorded(lake)
    except LakeError:  # the command says what is wrong as soon as it reads something itself
        return None
    if recorded == str(root) or not root.is_dir() or _is_same_folder(recorded, root):
        return None
    changed, problems = [], []
    for move in (_move_warehouse, _move_tracking):  # if one file cannot be changed, the other one still is
        try:
            changed += move(root, settings)
        except (OSError, sqlite3.Error, TitlerError) as error:
            problems.append(error.message if isinstance(error, TitlerError) else str(error))
    if problems:
        return (
            f"This lake was moved or copied to {root}, but its warehouse or MLflow's database cannot be "
            f"changed and may still refer to files of {recorded or 'another folder'}: {'; '.join(problems)}\n"
            "The next command that can write both files changes them."
        )
    if recorded or changed or (root / POINTER).is_file():  # otherwise, the lake has no release yet
        with suppress(LakeError):  # the lake may be read-only
            record_location(lake)
    if not changed:
        return None
    return f"This lake was moved or copied to {root}. Changed accordingly: {' and '.join(changed)}."


def _folder(lake: Lake) -> Path | None:
    """Returns the absolute path of the lake's folder, or None if the lake is a bucket."""
    root = lake.root.removeprefix("file://")
    return None if "://" in root else Path(root).absolute()


def _recorded(lake: Lake) -> str | None:
    content = lake.get(LOCATION)
    return None if content is None else content.decode("utf-8", "replace").strip()


def _is_same_folder(recorded: str | None, root: Path) -> bool:
    """Returns whether both paths lead to one folder, for example through a symbolic link."""
    try:
        return recorded is not None and os.path.samefile(recorded, root)
    except (OSError, ValueError):
        return False


def _move_warehouse(root: Path, settings: Settings) -> list[str]:
    """Changes the views of a DuckDB file in the lake. Returns what was changed."""
    if settings.warehouse.kind != "duckdb":
        return []
    path = Path(settings.warehouse_path.removeprefix("file://")).absolute()
    if not path.is_relative_to(root) or not path.is_file():
        return []
    from pipeline.warehouse.duckdb.moved_file import move_views, outdated_views

    if not outdated_views(path, root):
        return []
    with warehouse.connect(settings, "publish").exclusive_lock("publish"):
        moved = move_views(path, root)
    return ["the views of the warehouse"] if moved else []


def _move_tracking(root: Path, settings: Settings) -> list[str]:
    """Changes the addresses of files in MLflow's database, if it is an SQLite file in the lake. Returns what
    was changed."""
    if not settings.tracking_uri.startswith(_SQLITE):
        return []
    path = Path(settings.tracking_uri.removeprefix(_SQLITE)).absolute()
    if not path.is_relative_to(root):
        return []
    from pipeline.tracking import move_artifacts

    changed = move_artifacts(path, settings.tracking.experiment, root / "mlflow")
    return ["the addresses of files in MLflow's database"] if changed else []
