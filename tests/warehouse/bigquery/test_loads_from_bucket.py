"""Batches in Google Cloud Storage are read by BigQuery itself: the command downloads and uploads no rows."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from pipeline.contracts import SIMILAR_ISSUES, SOURCE_HEALTH, TITLE_PREDICTIONS, Table
from pipeline.lake.batches import Lake
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse import Batch
from pipeline.warehouse.bigquery import BigQueryWarehouse
from pipeline.warehouse.bigquery.errors import refusal
from pipeline.warehouse.bigquery.load_jobs import groups_of_files, groups_of_uploads
from tests.support.emulator import Emulator
from tests.support.stores import BUCKET, Stores
from tests.warehouse.conftest import new_data_set, new_emulator
from tests.warehouse.events import DAY, health, neighbour, prediction


@pytest.fixture
def emulator(object_stores: Stores, tmp_path: Any) -> Any:
    """An emulator that reads from the test's Google Cloud Storage."""
    with new_emulator(tmp_path / "emulator") as emulator:
        yield emulator


@pytest.fixture
def warehouse(emulator: Emulator) -> Any:
    with new_data_set(emulator) as settings:
        yield BigQueryWarehouse(settings, "test")


@pytest.fixture
def lake(object_stores: Stores) -> Lake:
    return Lake(f"gs://{BUCKET}/{uuid.uuid4().hex}")


def stored(lake: Lake, table: Table, rows: list[dict[str, Any]], **partition: str) -> Batch:
    """A batch that is written into the lake as the stages write it."""
    draft = lake.draft(table.name, {**partition, "day": str(DAY)})
    draft.write_table("part-00000.parquet", pa.Table.from_pylist(rows, schema=table.schema), table)
    manifest = draft.commit()
    files = tuple(lake.path(f"{manifest.folder}/{file.name}") for file in manifest.files)
    complete = all(file.columns == table.file_columns for file in manifest.files)
    return Batch(manifest.batch_id, DAY, manifest.rows, files, complete)


def load_jobs(emulator: Emulator, table: str) -> list[dict[str, Any]]:
    """The load jobs that were started for a table."""
    jobs = [
        request.json["configuration"]["load"]
        for request in emulator.proxy.requests
        if isinstance(request.json, dict) and "load" in request.json.get("configuration", {})
    ]
    return [load for load in jobs if load["destinationTable"]["tableId"] == table]


def test_the_job_names_the_files_and_the_rows_have_their_day_and_batch(
    warehouse: BigQueryWarehouse, emulator: Emulator, lake: Lake
) -> None:
    titles = stored(lake, TITLE_PREDICTIONS, [prediction(1)], model="titler")
    similar = stored(lake, SIMILAR_ISSUES, [neighbour(2, 1)], model="owner")
    warehouse.load(TITLE_PREDICTIONS, [titles])
    warehouse.load(SIMILAR_ISSUES, [similar])
    assert [load["sourceUris"] for load in load_jobs(emulator, "title_predictions_v1")] == [[*titles.files]]
    assert warehouse.tables.all_rows("title_predictions_v1") == [
        {**prediction(1), "batch_id": titles.batch_id}
    ]
    assert warehouse.tables.all_rows("similar_issues_v2") == [
        {**neighbour(2, 1), "source_day": DAY, "batch_id": similar.batch_id}
    ]


def test_a_list_in_a_file_becomes_an_array(warehouse: BigQueryWarehouse, lake: Lake) -> None:
    batch = stored(lake, SOURCE_HEALTH, [health()])
    warehouse.load(SOURCE_HEALTH, [batch])
    assert warehouse.tables.all_rows("source_health_v1") == [{**health(), "batch_id": batch.batch_id}]


def test_files_that_an_earlier_version_wrote_are_uploaded(
    warehouse: BigQueryWarehouse, emulator: Emulator, lake: Lake
) -> None:
    batch = replace(stored(lake, TITLE_PREDICTIONS, [prediction(1)], model="titler"), has_all_columns=False)
    warehouse.load(TITLE_PREDICTIONS, [batch])
    (load,) = load_jobs(emulator, "title_predictions_v1")
    assert "sourceUris" not in load
    assert warehouse.tables.all_rows("title_predictions_v1") == [
        {**prediction(1), "batch_id": batch.batch_id}
    ]


def test_a_bucket_that_bigquery_may_not_read_is_an_error_that_names_the_role() -> None:
    message = "Access Denied: File gs://b/lake/part-00000.parquet: Access Denied"
    error = refusal(Settings(), "loading into titler.title_predictions_v1", "accessDenied", message)
    assert message in error.message
    assert "roles/storage.objectViewer on the lake's bucket" in error.hint


def days(count: int, rows: int, files: int = 1) -> list[Batch]:
    """A batch per day."""
    return [
        Batch(f"b{number}", date.fromordinal(DAY.toordinal() + number), rows, ("file",) * files)
        for number in range(count)
    ]


def test_ten_years_with_one_file_per_day_are_one_job() -> None:
    assert [len(group) for group in groups_of_files(days(3650, 820_000))] == [3650]


def test_ten_years_with_eleven_files_per_day_are_five_jobs() -> None:
    assert [len(group) for group in groups_of_files(days(3650, 82_000, 11))] == [909, 909, 909, 909, 14]


def test_a_job_reads_at_most_the_days_that_bigquery_allows() -> None:
    assert [len(group) for group in groups_of_files(days(4001, 1))] == [4000, 1]


def test_rows_are_uploaded_in_few_jobs_however_many_they_are() -> None:
    assert len(list(groups_of_uploads(days(3650, 820_000)))) == 102
    assert [len(group) for group in groups_of_uploads(days(3, 300_000))] == [1, 1, 1]
    assert [len(group) for group in groups_of_uploads(days(3, 200_000))] == [2, 1]
