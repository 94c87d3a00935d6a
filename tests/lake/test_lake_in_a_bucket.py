"""The whole job with its lake in a bucket, MLflow's files in it too, and what it does where listings lack
what is new."""

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
LATER = datetime.now(UTC) + timedelta(days=30)


@pytest.fixture(scope="module")
def hours(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hours")
    sample.write(folder, days=3, seed=1, issues_per_day=100)
    return folder


@pytest.fixture(scope="module", params=["s3", "gs"])
def settings(request, object_stores, hours, tmp_path_factory) -> Settings:
    folder = tmp_path_factory.mktemp("here")
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
    """Two days in, a model trained and promoted, a release current."""
    lake = Lake(settings.lake.root)
    whole_job.run(Context.of(settings), [ONE, TWO], retrain=False, variant=None, epochs=None)
    return lake


def whole(lake: Lake) -> int:
    """The issues of the current release, all of whose batches are there with all their files."""
    current = require_current(lake)
    for table in collect.TABLES_BY_OWNER[1:5]:
        for manifest in current.members[table]:
            assert [lake.read_file(manifest, file) for file in manifest.files]
    predictor = lake.manifest(current.plan.facts["predictor"])
    assert [lake.read_file(predictor, file) for file in predictor.files]
    again = sum(len(ids) for ids in current.plan.superseded.values())
    return sum(lake.read(current.issues(day), ISSUES).num_rows for day in current.plan.days) - again


def shown(settings: Settings) -> Any:
    with duckdb.connect(settings.warehouse.path, read_only=True) as connection:
        return connection.sql("SELECT COUNT(*) FROM title_predictions").fetchall()[0][0]


def test_what_was_published_is_read_from_the_bucket_and_in_the_warehouse(lake, settings):
    status = serving_status.status(lake, settings)
    assert [day["verdict"] for day in status["days"]] == ["complete", "complete"]
    assert status["release"]["issues"] == shown(settings) == whole(lake)
    assert isinstance(queries.title(lake, "It crashes when I open the settings page")["title"], str)
    assert len(queries.similar(lake, settings, "It crashes when I open the settings page", 3)) == 3


def test_what_a_training_logs_lies_in_the_bucket(lake):
    run = require_current(lake).plan.facts["mlflow_run"]
    assert {"days.json", "losses.png", "vocabulary"} <= set(lake.names(f"mlflow/{run}/artifacts"))


def test_collect_keeps_what_the_current_release_names_though_no_release_and_no_model_is_listed(
    lake, settings, object_stores: Stores
):
    before = whole(lake)
    with object_stores.hiding("/(releases|models)/"):
        assert pinned_names(lake, "releases") == []
        collected = collect.run(lake, settings, LATER)
    assert (collected.releases, collected.models) == ((), ())
    assert whole(lake) == before
    model = require_current(lake).plan.facts["model"]
    assert Pinned(lake, "models", model).members[PREDICTOR]


def test_a_new_day_that_is_not_listed_yet_enters_with_the_next_release(lake, settings, object_stores: Stores):
    first = current_release_id(lake)
    with object_stores.hiding("."):
        extract.run(lake, settings, [THREE])
        clean.run(lake, settings, [THREE.isoformat()])
        planned = plan.run(lake, settings, Pinned(lake, "releases", "early"))
        assert planned.reason == f"nothing is new since release {first}"
    whole_job.run(Context.of(settings), [THREE], retrain=False, variant=None, epochs=None)
    assert current_release_id(lake) != first
    assert len(require_current(lake).plan.days) == 3
    assert shown(settings) == whole(lake)


def test_a_release_that_is_not_listed_can_be_rolled_back_to(lake, settings, object_stores: Stores):
    first, second = (found["release_id"] for found in published_records(lake, settings))
    with object_stores.hiding("."):
        publish.rollback(lake, settings, first)
        assert current_release_id(lake) == first
        assert [found["release_id"] for found in published_records(lake, settings)] == [second, first]
    assert shown(settings) == whole(lake)
    assert Pinned(lake, "releases", second).members[EMBEDDINGS.name]
