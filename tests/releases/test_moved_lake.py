"""Which files of a moved lake are changed, and when its new folder is recorded."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.lake.batches import Lake
from pipeline.releases.moved_lake import LOCATION, adopt_moved_lake
from pipeline.settings import LakeSettings, Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A lake that was used in /former/lake last."""
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / LOCATION).write_text("/former/lake\n")
    return tmp_path / "lake"


def adopt(root: Path) -> str:
    return adopt_moved_lake(Lake(str(root)), Settings(lake=LakeSettings(root=str(root)))) or ""


def write_mlflow(root: Path, *addresses: str) -> None:
    """Writes a database of MLflow whose experiment `titler` has runs with these addresses."""
    with closing(sqlite3.connect(root / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE experiments (name, artifact_location)")
        connection.execute("INSERT INTO experiments VALUES ('titler', 'file:///former/lake/mlflow')")
        connection.execute("CREATE TABLE runs (artifact_uri)")
        connection.executemany("INSERT INTO runs VALUES (?)", [(address,) for address in addresses])


def addresses(root: Path) -> list[str]:
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        return [row[0] for row in connection.execute("SELECT artifact_uri FROM runs ORDER BY rowid")]


def test_only_addresses_below_the_former_folder_are_changed(root: Path) -> None:
    others = [
        "file:///former/lake/mlflow2/r/artifacts",
        "file:///former/lake2/mlflow/r",
        "s3://bucket/mlflow/r",
    ]
    write_mlflow(root, "file:///former/lake/mlflow/r/artifacts", *others)
    assert adopt(root).endswith("Changed accordingly: the addresses of files in MLflow's database.")
    assert addresses(root) == [f"file://{root}/mlflow/r/artifacts", *others]
    assert (root / LOCATION).read_text() == f"{root}\n"


def test_mlflow_is_changed_although_the_warehouse_is_damaged(root: Path) -> None:
    write_mlflow(root, "file:///former/lake/mlflow/r/artifacts")
    (root / "warehouse.duckdb").write_bytes(b"DUCK" * 5_000)
    assert "may still refer to files of /former/lake" in adopt(root)
    assert addresses(root) == [f"file://{root}/mlflow/r/artifacts"]
    assert (root / LOCATION).read_text() == "/former/lake\n"  # so the next command tries again


def test_a_lake_without_anything_to_change_is_only_recorded(root: Path) -> None:
    assert adopt(root) == ""
    assert (root / LOCATION).read_text() == f"{root}\n"
