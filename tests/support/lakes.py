"""A lake with a trained model and a release, built once per test session, and writable copies of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

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
    settings = _settings(folder)
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            sample.write(folder / "hours", days=len(DAYS) + 2, seed=1, issues_per_day=150)
            run_job(Context.of(settings), DAYS)
            (folder / "complete").touch()
    return settings


def _settings(folder: Path) -> Settings:
    return Settings(
        source=Source(hours=str(folder / "hours")),
        lake=LakeSettings(root=str(folder / "lake")),
        compute=Compute(workers=2),
        text=Text(subwords=600, body_units=64),
        model=Model(
            embedding_size=24,
            hidden_size=24,
            contrast_epochs=1,
            epochs=2,
            batch_size=64,
            learning_rate=0.01,
            sample_titles=5,
            abstain_probability=0,
        ),
        index=Index(trees=20),
    )


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


def files(root: str) -> dict[str, tuple[int, int]]:
    """Size and modification time, in nanoseconds, of every file, by its path."""
    paths = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}
