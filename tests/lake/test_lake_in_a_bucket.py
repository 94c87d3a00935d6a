"""The whole job with the lake and MLflow's files in a bucket, also if listings lack the newest objects.

The bucket is of Google Cloud Storage. tests/infra/test_compose.py runs the whole job with a bucket of S3.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import sample
from pipeline.cli import whole_job
from pipeline.cli.options import Context
from pipeline.contracts import EMBEDDINGS, ISSUES, PREDICTOR, SEGMENTS, SIMILAR_ISSUES, TITLE_PREDICTIONS
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import current_release_id, require_current
from pipeline.releases.records import published_records
from pipeline.serving import queries
from pipeline.serving import status as serving_status
from pipeline.serving.queries import SimilarQuery
from pipeline.settings import Compute, Index, Settings, Tracking, Warehouse
from pipeline.stages import clean, collect, extract, plan, publish
from tests.support.lakes import query, small_settings
from tests.support.stores import BUCKET, Stores

ONE, TWO, THREE = (date(2024, 1, day) for day in range(1, 4))
IN_A_MONTH = datetime.now(UTC) + timedelta(days=30)
"""At this time, every file of the tests is old enough for `collect` to remove it."""


@dataclass(frozen=True)
class Published:
    """A lake with two releases of one model: `first` of two days, and `second`, which is current, of three.

    `early` is what was planned when the third day was cleaned, but nothing new was listed.
    """

    lake: Lake
    settings: Settings
    first: str
    second: str
    early: plan.PlanOutcome


@pytest.fixture(scope="module")
def hours(tmp_path_factory) -> Path:
    """A folder with generated hour files of three days."""
    folder = tmp_path_factory.mktemp("hours")
    sample.write(folder, days=3, seed=1, issues_per_day=100)
    return folder


@pytest.fixture(scope="module")
def published(object_stores: Stores, hours, tmp_path_factory) -> Published:
    folder = tmp_path_factory.mktemp("warehouse")
    settings = small_settings(
        hours,
        f"gs://{BUCKET}/{uuid.uuid4().hex}",
        size=8,
        warehouse=Warehouse(path=f"{folder}/warehouse.duckdb"),
        tracking=Tracking(uri=f"sqlite:///{folder}/mlflow.db"),
        compute=Compute(workers=1),
        index=Index(trees=5, min_recall=0),
    )
    lake = Lake(settings.lake.root)
    first = publish_days(settings, [ONE, TWO])
    with object_stores.hiding("."):
        extract.run(lake, settings, [THREE])
        clean.run(lake, settings, [THREE.isoformat()])
        early = plan.run(lake, settings, Pinned(lake, "releases", "early"))
    return Published(lake, settings, first, publish_days(settings, [THREE]), early)


def publish_days(settings: Settings, days: list[date]) -> str:
    """Ingests days and publishes a release, which needs a model; returns the release's name."""
    whole_job.run(Context.of(settings), days, retrain=False, variant=None, epochs=None)
    return require_current(Lake(settings.lake.root)).name


def read_current(lake: Lake) -> int:
    """Reads every file of the current release; returns the number of its issues."""
    current = require_current(lake)
    for table in (EMBEDDINGS.name, TITLE_PREDICTIONS.name, SIMILAR_ISSUES.name, SEGMENTS.name):
        for manifest in current.members[table]:
            assert [lake.read_file(manifest, file) for file in manifest.files]
    predictor = lake.manifest(current.plan.facts["predictor"])
    assert [lake.read_file(predictor, file) for file in predictor.files]
    superseded = sum(len(ids) for ids in current.plan.superseded.values())
    return sum(lake.read(current.issues(day), ISSUES).num_rows for day in current.plan.days) - superseded


def titled_issues(settings: Settings) -> Any:
    """The number of issues that an analyst sees."""
    return query(settings, "SELECT COUNT(*) FROM title_predictions")[0][0]


def test_the_published_release_is_complete_in_the_bucket_and_in_the_warehouse(published: Published):
    lake, settings = published.lake, published.settings
    status = serving_status.status(lake, settings)
    assert [day["verdict"] for day in status["days"]] == ["complete", "complete", "partial"]
    assert status["release"]["issues"] == titled_issues(settings) == read_current(lake)
    assert isinstance(queries.title(lake, "It crashes when I open the settings page")["title"], str)
    assert (
        len(queries.similar(lake, settings, SimilarQuery("It crashes when I open the settings page"), 3)) == 3
    )


def test_the_artifacts_of_a_training_are_stored_in_the_bucket(published: Published):
    run = require_current(published.lake).plan.facts["mlflow_run"]
    assert {"days.json", "losses.png", "vocabulary"} <= set(published.lake.names(f"mlflow/{run}/artifacts"))


def test_collect_keeps_the_current_release_complete_even_if_no_release_or_model_is_listed(
    published: Published, object_stores: Stores
):
    lake = published.lake
    before = read_current(lake)
    with object_stores.hiding("/(releases|models)/"):
        assert pinned_names(lake, "releases") == []
        collected = collect.run(lake, published.settings, IN_A_MONTH)
    assert (collected.releases, collected.models) == ((), ())
    assert read_current(lake) == before
    model = require_current(lake).plan.facts["model"]
    assert Pinned(lake, "models", model).members[PREDICTOR]


def test_a_new_day_that_is_not_listed_yet_becomes_part_of_the_next_release(published: Published):
    assert published.early.reason == f"nothing is new since release {published.first}"
    assert [
        len(Pinned(published.lake, "releases", name).plan.days)
        for name in (published.first, published.second)
    ] == [2, 3]


def test_a_release_that_is_not_listed_can_become_current_again(published: Published, object_stores: Stores):
    lake, settings, first, second = published.lake, published.settings, published.first, published.second
    try:
        with object_stores.hiding("."):
            publish.rollback(lake, settings, first)
            assert current_release_id(lake) == first
            ids = [record["release_id"] for record in published_records(lake, settings)]
            assert ids == [second, first]
        assert titled_issues(settings) == read_current(lake)
        assert Pinned(lake, "releases", second).members[EMBEDDINGS.name]
    finally:
        publish.rollback(lake, settings, second)  # as the other tests expect it
