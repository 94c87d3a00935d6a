"""The whole job with the lake and MLflow's files in a bucket, also if listings lack the newest objects."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline import sample
from pipeline.cli import whole_job
from pipeline.cli.options import Context
from pipeline.contracts import EMBEDDINGS, ISSUES, PREDICTOR
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import current_release_id, require_current
from pipeline.releases.records import published_records
from pipeline.serving import queries
from pipeline.serving import status as serving_status
from pipeline.settings import Compute, Index, LakeSettings, Model, Settings, Source, Text, Tracking, Warehouse
from pipeline.stages import clean, collect, extract, plan, publish
from tests.support.stores import BUCKET, Stores

ONE, TWO, THREE = (date(2024, 1, day) for day in range(1, 4))
IN_A_MONTH = datetime.now(UTC) + timedelta(days=30)
"""At this time, every file of the tests is old enough for `collect` to remove it."""


@pytest.fixture(scope="module")
def hours(tmp_path_factory) -> Path:
    """A folder with generated hour files of three days."""
    folder = tmp_path_factory.mktemp("hours")
    sample.write(folder, days=3, seed=1, issues_per_day=100)
    return folder


@pytest.fixture(scope="module", params=["s3", "gs"])
def settings(request, object_stores, hours, tmp_path_factory) -> Settings:
    """Settings of an empty lake in each kind of bucket, and of a warehouse and MLflow's database on disk."""
    folder = tmp_path_factory.mktemp("local")
    return Settings(
        source=Source(hours=str(hours)),
        lake=LakeSettings(root=f"{request.param}://{BUCKET}/{uuid.uuid4().hex}"),
        warehouse=Warehouse(path=f"{folder}/warehouse.duckdb"),
        tracking=Tracking(uri=f"sqlite:///{folder}/mlflow.db"),
        compute=Compute(workers=1),
        text=Text(subwords=600, body_units=64),
        model=Model(
            embedding_size=8,
            hidden_size=8,
            contrast_epochs=1,
            epochs=1,
            batch_size=64,
            learning_rate=0.01,
            sample_titles=5,
        ),
        index=Index(trees=5, min_recall=0),
    )


@pytest.fixture(scope="module")
def lake(settings) -> Lake:
    """A lake with two days, a champion and a current release."""
    lake = Lake(settings.lake.root)
    whole_job.run(Context.of(settings), [ONE, TWO], retrain=False, variant=None, epochs=None)
    return lake


def issues_of_complete_release(lake: Lake) -> int:
    """Asserts that all files of the current release's batches exist; returns the release's number of
    issues."""
    current = require_current(lake)
    for table in collect.TABLES_BY_OWNER[1:5]:
        for manifest in current.members[table]:
            assert [lake.read_file(manifest, file) for file in manifest.files]
    predictor = lake.manifest(current.plan.facts["predictor"])
    assert [lake.read_file(predictor, file) for file in predictor.files]
    superseded = sum(len(ids) for ids in current.plan.superseded.values())
    return sum(lake.read(current.issues(day), ISSUES).num_rows for day in current.plan.days) - superseded


def issues_in_warehouse(settings: Settings) -> Any:
    """Returns the number of issues that the warehouse's view title_predictions shows."""
    with duckdb.connect(settings.warehouse.path, read_only=True) as connection:
        return connection.sql("SELECT COUNT(*) FROM title_predictions").fetchall()[0][0]


def test_the_published_release_is_complete_in_the_bucket_and_in_the_warehouse(lake, settings):
    status = serving_status.status(lake, settings)
    assert [day["verdict"] for day in status["days"]] == ["complete", "complete"]
    assert status["release"]["issues"] == issues_in_warehouse(settings) == issues_of_complete_release(lake)
    assert isinstance(queries.title(lake, "It crashes when I open the settings page")["title"], str)
    assert len(queries.similar(lake, settings, "It crashes when I open the settings page", 3)) == 3


def test_the_artifacts_of_a_training_are_stored_in_the_bucket(lake):
    run = require_current(lake).plan.facts["mlflow_run"]
    assert {"days.json", "losses.png", "vocabulary"} <= set(lake.names(f"mlflow/{run}/artifacts"))


def test_collect_keeps_the_current_release_complete_even_if_no_release_or_model_is_listed(
    lake, settings, object_stores: Stores
):
    before = issues_of_complete_release(lake)
    with object_stores.hiding("/(releases|models)/"):
        assert pinned_names(lake, "releases") == []
        collected = collect.run(lake, settings, IN_A_MONTH)
    assert (collected.releases, collected.models) == ((), ())
    assert issues_of_complete_release(lake) == before
    model = require_current(lake).plan.facts["model"]
    assert Pinned(lake, "models", model).members[PREDICTOR]


def test_a_new_day_that_is_not_listed_yet_becomes_part_of_the_next_release(
    lake, settings, object_stores: Stores
):
    first = current_release_id(lake)
    with object_stores.hiding("."):
        extract.run(lake, settings, [THREE])
        clean.run(lake, settings, [THREE.isoformat()])
        planned = plan.run(lake, settings, Pinned(lake, "releases", "early"))
        assert planned.reason == f"nothing is new since release {first}"
    whole_job.run(Context.of(settings), [THREE], retrain=False, variant=None, epochs=None)
    assert current_release_id(lake) != first
    assert len(require_current(lake).plan.days) == 3
    assert issues_in_warehouse(settings) == issues_of_complete_release(lake)


def test_a_release_that_is_not_listed_can_become_current_again(lake, settings, object_stores: Stores):
    first, second = (record["release_id"] for record in published_records(lake, settings))
    with object_stores.hiding("."):
        publish.rollback(lake, settings, first)
        assert current_release_id(lake) == first
        assert [record["release_id"] for record in published_records(lake, settings)] == [second, first]
    assert issues_in_warehouse(settings) == issues_of_complete_release(lake)
    assert Pinned(lake, "releases", second).members[EMBEDDINGS.name]
