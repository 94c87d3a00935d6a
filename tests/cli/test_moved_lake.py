"""A lake in another folder than the one where it was made: everything is read from the new place."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.settings import PREFIX, LakeSettings, Settings
from tests.support import lakes
from tests.support.titler_in_process import titler

BODY = "The window closes when I press Enter twice."


def environment(settings: Settings) -> dict[str, str]:
    """The variables of the settings that are not the defaults."""
    defaults = Settings().model_dump()
    return {
        f"{PREFIX}{section}__{name}".upper(): str(value)
        for section, values in settings.model_dump().items()
        for name, value in values.items()
        if value != defaults[section][name]
    }


def in_folder(settings: Settings, root: Path) -> Settings:
    return settings.model_copy(update={"lake": LakeSettings(root=str(root))})


def succeeds(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = titler(*arguments, environment=environment(settings))
    assert done.returncode == 0, done.stderr
    return done


def answers(settings: Settings) -> dict[str, Any]:
    """What the verbs, the warehouse and MLflow say of a lake."""
    status = json.loads(succeeds(settings, "status", "--json").stdout)
    status["release"].pop("age_hours")
    client = MlflowClient(settings.tracking_uri)
    (row,) = lakes.query(settings, "SELECT DISTINCT mlflow_run FROM title_predictions")
    run = client.get_run(row[0])
    (version,) = client.search_model_versions("name = 'titler'")
    model = Path(settings.lake.root, "mlflow", "models", str(version.source).rpartition("/")[2])
    return {
        "status": status,
        "title": json.loads(succeeds(settings, "title", "--json", BODY).stdout),
        "similar": json.loads(succeeds(settings, "similar", "-k", "3", "--json", BODY).stdout),
        "titles": lakes.query(
            settings, "SELECT COUNT(*), MIN(title), MIN(body_excerpt) FROM title_predictions"
        ),
        "comments": lakes.query(settings, "SELECT COUNT(comment) FROM duckdb_columns()"),
        "artifacts": [file.path for file in client.list_artifacts(run.info.run_id)],
        "of the model": (model / "artifacts" / "MLmodel").is_file(),
    }


def addresses(settings: Settings) -> set[bool]:
    """Whether MLflow's addresses are in the lake."""
    client = MlflowClient(settings.tracking_uri)
    experiment = client.get_experiment_by_name("titler")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    stored = [experiment.artifact_location, *(run.info.artifact_uri for run in runs)]
    return {address.startswith(Path(settings.lake.root, "mlflow").as_uri()) for address in stored}


@pytest.fixture(scope="module")
def expected(shared_settings: Settings) -> Mapping[str, Any]:
    return answers(shared_settings)


def test_a_moved_lake_is_read_and_continued_in_its_new_place(
    built_settings: Settings, expected: Mapping[str, Any], tmp_path: Path
) -> None:
    copied = in_folder(built_settings, tmp_path / "copied")
    shutil.copytree(built_settings.lake.root, copied.lake.root)
    assert f"This lake was moved or copied to {copied.lake.root}" in succeeds(copied, "status").stderr
    moved = in_folder(built_settings, tmp_path / "o'brien" / "moved")
    shutil.move(copied.lake.root, moved.lake.root)
    first, second = succeeds(moved, "status"), succeeds(moved, "status")
    assert (
        "Changed accordingly: the views of the warehouse and the addresses of files in MLflow's"
        in first.stderr
    )
    assert second.stderr == ""
    assert answers(moved) == expected
    assert addresses(moved) == {True}
    assert (
        "no release was created: nothing is new since release"
        in succeeds(moved, "run", "--from", "2024-01-01", "--to", "2024-01-02").stdout
    )


def test_a_copy_reads_its_own_files_and_never_writes_to_the_original(
    built_settings: Settings, expected: Mapping[str, Any], tmp_path: Path
) -> None:
    copy = in_folder(built_settings, tmp_path / "copy")
    shutil.copytree(built_settings.lake.root, copy.lake.root)
    before = lakes.files(built_settings.lake.root)
    succeeds(copy, "status")
    assert addresses(copy) == {True}
    for file in Path(copy.lake.root, "title_predictions_v1").rglob("day=2024-01-02/*/*.parquet"):
        shutil.copyfile(next(file.parents[2].glob("day=2024-01-01/*/*.parquet")), file)
    sql = "SELECT COUNT(*), COUNT(DISTINCT issue_id) FROM title_predictions_v1"
    (of_copy,), (of_original,) = lakes.query(copy, sql), lakes.query(built_settings, sql)
    assert of_original == (301, 300)  # an issue was opened again on the second day
    assert of_copy[1] < 200  # the files of the second day were replaced
    assert lakes.files(built_settings.lake.root) == before


def test_a_lake_that_cannot_be_changed_is_still_read(built_settings: Settings, tmp_path: Path) -> None:
    copy = in_folder(built_settings, tmp_path / "copy")
    shutil.copytree(built_settings.lake.root, copy.lake.root)
    shutil.rmtree(Path(copy.lake.root, "similar_issues_v2"))
    done = succeeds(copy, "title", "--json", BODY)
    assert f"may still refer to files of {built_settings.lake.root}" in done.stderr
    assert set(json.loads(done.stdout)) >= {"title", "confidence"}
