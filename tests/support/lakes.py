"""A lake with a trained model and a release, built once per test session, and writable copies of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock

from pipeline import sample
from pipeline.cli.options import Context
from pipeline.lake.batches import Lake
from pipeline.releases.current import current_release_id
from pipeline.settings import Compute, Index, LakeSettings, Model, Settings, Source, Text
from tests.support.accepted_titles import run_job
from tests.support.republish import republish

DAYS = [date(2024, 1, 1), date(2024, 1, 2)]
"""The days of the release. The hour files have two more."""


def build_once(folder: Path) -> Settings:
    """The settings of a lake in `folder`. The first process that calls this builds it, the others wait."""
    settings = small_settings(folder / "hours", folder / "lake", epochs=2)
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            sample.write(folder / "hours", days=len(DAYS) + 2, seed=1, issues_per_day=150)
            run_job(Context.of(settings), DAYS)
            (folder / "complete").touch()
    return settings


def small_settings(
    hours: Path, root: Path | str, *, size: int = 24, epochs: int = 1, **sections: Any
) -> Settings:
    """Settings with which a network trains in seconds, `size` numbers per vector.

    `root` is the address of the lake; `sections` replace whole sections of the settings.
    """
    model = Model(
        embedding_size=size,
        hidden_size=size,
        contrast_epochs=1,
        epochs=epochs,
        batch_size=256,  # few sizes of batches: TensorFlow compiles a training step per size
        learning_rate=0.01,
        sample_titles=5,
        abstain_probability=0,
    )
    small: dict[str, Any] = {
        "source": Source(hours=str(hours)),
        "lake": LakeSettings(root=str(root)),
        "compute": Compute(workers=2),
        "text": Text(subwords=600, body_units=64),
        "model": model,
        "index": Index(trees=20),
    }
    return Settings(**small | sections)


def copy_lake(settings: Settings, root: Path) -> Settings:
    """The settings of a copy of the lake at `root`, with MLflow's database and its release's warehouse."""
    shutil.copytree(settings.lake.root, root)
    if (root / "mlflow.db").exists():
        _replace_paths(root / "mlflow.db", settings.lake.root, str(root))
    copied = settings.model_copy(update={"lake": LakeSettings(root=str(root))})
    lake = Lake(str(root))
    release_id = current_release_id(lake)
    if release_id is not None:
        republish(lake, copied, release_id)  # the warehouse's views have absolute paths of the lake's files
    return copied


def _replace_paths(database: Path, old: str, new: str) -> None:
    """Replaces `old` by `new` in every text of an SQLite database."""
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for _, column, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
                connection.execute(
                    f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?)'
                    f' WHERE typeof("{column}") = \'text\' AND instr("{column}", ?)',
                    (old, new, old),
                )


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """The rows that an analyst gets from the warehouse."""
    with duckdb.connect(settings.warehouse_path, read_only=True) as connection:
        return connection.sql(sql).fetchall()


def files(root: str) -> dict[str, tuple[int, int]]:
    """Size and modification time, in nanoseconds, of every file, by its path."""
    paths = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}
