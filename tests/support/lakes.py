"""A lake with a trained model and a release, built once per test session, and writable copies of it."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from filelock import FileLock

from pipeline import sample
from pipeline.cli.options import Context
from pipeline.lake.batches import Lake
from pipeline.releases.moved_lake import adopt_moved_lake
from pipeline.settings import Compute, Index, LakeSettings, Model, Settings, Source, Text
from tests.support.accepted_titles import run_job

DAYS = [date(2024, 1, 1), date(2024, 1, 2)]
"""The days of the release. The hour files have two more."""


def built_by_first_worker(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a lake that all workers of a test session share. The first one that calls this builds
    it, the others wait. Tests must not change it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "built_lake"
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
        batch_size=1024,  # one batch: TensorFlow compiles a training step per size
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
    copied = settings.model_copy(update={"lake": LakeSettings(root=str(root))})
    adopt_moved_lake(Lake(str(root)), copied)
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    _artifact_repos_cache.clear()  # by a run's id, where its files are; runs of a copy have the same ids
    return copied


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """The rows that an analyst gets from the warehouse."""
    with duckdb.connect(settings.warehouse_path, read_only=True) as connection:
        return connection.sql(sql).fetchall()


def files(root: str) -> dict[str, tuple[int, int]]:
    """Size and modification time, in nanoseconds, of every file, by its path."""
    paths = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}
