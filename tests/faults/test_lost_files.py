"""Losses that would look like a lake in which nothing has happened yet."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.titler_in_process import titler


@pytest.mark.parametrize("verb", ["status", "plan"])
def test_a_deleted_mlflow_database_is_noticed(lake_folder: Path, verb: str) -> None:
    (lake_folder / "mlflow.db").unlink()
    done = titler(verb)
    assert done.returncode == 3
    assert " has no champion, but release 20991231T000000Z was made with the model " in done.stderr
    assert "MLflow's database was deleted, or replaced by an older one." in done.stderr


def test_an_older_mlflow_database_is_noticed(lake_folder: Path) -> None:
    # a database from before the champion was registered, with the champion of that time
    earlier = "a-model-of-earlier"
    with closing(sqlite3.connect(lake_folder / "mlflow.db")) as database, database:
        database.execute("UPDATE model_version_tags SET value = ? WHERE key = 'titler.model'", [earlier])
    done = titler("plan")
    assert done.returncode == 3
    assert f"has the champion {earlier}, version 1, and no model " in done.stderr


def test_a_deleted_pointer_to_the_current_release_is_not_taken_for_a_new_lake(lake_folder: Path) -> None:
    (lake_folder / "releases" / "current.json").unlink()
    done = titler("title", "the window closes when I press a key")
    assert done.returncode == 1
    assert f"The file {lake_folder}/releases/current.json is missing, but releases were" in done.stderr
    assert titler("plan").returncode == 0
    assert titler("title", "the window closes when I press a key").returncode == 0


def test_a_warehouse_of_another_lake_is_refused(lake_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = lake_folder.parent / "other"
    shutil.copytree(lake_folder, other)
    shutil.rmtree(other / "releases")
    monkeypatch.setenv("TITLER_LAKE__ROOT", str(other))
    monkeypatch.setenv("TITLER_WAREHOUSE__PATH", str(lake_folder / "warehouse.duckdb"))
    done = titler("plan")
    assert done.returncode == 3
    assert "shows release 20991231T000000Z, but the lake " in done.stderr
    assert "the warehouse belongs to another lake" in done.stderr
    assert not (other / "releases").exists()


def test_a_damaged_release_does_not_stop_others(lake_folder: Path) -> None:
    earlier = min(path.name for path in (lake_folder / "releases").iterdir() if path.is_dir())
    (lake_folder / "releases" / earlier / "members" / "title_predictions_v1.json").unlink()
    for verb in (["status"], ["title", "it closes"], ["similar", "it closes"], ["plan"]):
        assert titler(*verb).returncode == 0
    refused = titler("rollback", earlier)
    assert refused.returncode == 1
    assert "members/title_predictions_v1.json is missing, but release " in refused.stderr


def test_a_shorter_list_than_the_record_says_is_damage(lake_folder: Path) -> None:
    earlier = min(path.name for path in (lake_folder / "releases").iterdir() if path.is_dir())
    current, before = (
        lake_folder / "releases" / name / "members" / "embeddings_v1.json"
        for name in ("20991231T000000Z", earlier)
    )
    current.write_bytes(before.read_bytes())
    done = titler("verify", "--release", "20991231T000000Z")
    assert done.returncode == 1
    assert "the release has 2 batches of embeddings_v1 for 3 days" in " ".join(done.stdout.split())
