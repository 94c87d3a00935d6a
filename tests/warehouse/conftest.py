"""The warehouses that the contract suite holds to their protocol: the embedded one, and BigQuery's on its emulator or the real service."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import bigquery

from pipeline.settings import Warehouse as Settings
from pipeline.warehouse import Warehouse
from pipeline.warehouse.bigquery import BigQueryWarehouse
from pipeline.warehouse.bigquery.client import connect
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.support.emulator import PROJECT, Emulator, program, running
from tests.support.stores import BUCKET
from tests.warehouse.events import Lake

REAL_PROJECT = os.environ.get("TITLER_TEST_BIGQUERY_PROJECT", "")


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """One for each test: where two data sets have a table of one name, the emulator may read the other's."""
    path = program()
    if path is None:
        pytest.skip("needs BigQuery's emulator: make emulators")
    folder = tmp_path / "emulator"
    folder.mkdir()
    with running(path, folder) as found:
        yield found


@pytest.fixture
def bigquery_settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """A data set of its own, on the real service where TITLER_TEST_BIGQUERY_PROJECT names a project, else on the emulator.

    A test that takes the emulator's side in the conversation has the emulator.
    """
    real = REAL_PROJECT and "emulator" not in request.fixturenames
    dataset = f"titler_test_{uuid.uuid4().hex[:12]}"
    if real:
        settings = Settings(kind="bigquery", project=REAL_PROJECT, dataset=dataset)
    else:
        emulator = request.getfixturevalue("emulator")
        settings = Settings(
            kind="bigquery",
            project=PROJECT,
            dataset=dataset,
            endpoint=emulator.endpoint,
            storage_endpoint=emulator.storage_endpoint,
            timeout=60,
        )
    client = connect(settings)
    made = bigquery.Dataset(f"{settings.project}.{dataset}")
    made.location = settings.location
    client.create_dataset(made)
    yield settings
    if real:  # the emulator is gone after the test
        client.delete_dataset(made, delete_contents=True)


@pytest.fixture
def bigquery_warehouse(bigquery_settings: Settings) -> BigQueryWarehouse:
    return BigQueryWarehouse(bigquery_settings, "test")


@pytest.fixture(params=["duckdb", "duckdb of a bucket", "bigquery"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    if request.param == "bigquery":
        found = request.getfixturevalue("bigquery_warehouse")
        assert isinstance(found, BigQueryWarehouse)
        return found
    if request.param == "duckdb of a bucket":
        request.getfixturevalue("object_stores")
        monkeypatch.setattr(Lake, "bucket", f"s3://{BUCKET}/{uuid.uuid4().hex}")
    return DuckDBWarehouse(str(tmp_path / "lake" / "warehouse.duckdb"))
