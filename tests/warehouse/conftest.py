"""The warehouses that the contract suite tests: the embedded one, and BigQuery on its emulator or on the real
service.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
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
KINDS = ["duckdb", "duckdb of a bucket", "bigquery"]


@contextmanager
def new_emulator(folder: Path) -> Iterator[Emulator]:
    """An emulator with its files in a new folder."""
    path = program()
    if path is None:
        pytest.skip("needs BigQuery's emulator: make emulators")
    folder.mkdir()
    with running(path, folder) as emulator:
        yield emulator


@contextmanager
def new_data_set(emulator: Emulator | None) -> Iterator[Settings]:
    """The settings of a new data set: on the emulator, or on the real service if that is None."""
    dataset = f"titler_test_{uuid.uuid4().hex[:12]}"
    if emulator is None:
        settings = Settings(kind="bigquery", project=REAL_PROJECT, dataset=dataset)
    else:
        settings = Settings(
            kind="bigquery",
            project=PROJECT,
            dataset=dataset,
            endpoint=emulator.endpoint,
            storage_endpoint=emulator.storage_endpoint,
            timeout=60,
        )
    client = connect(settings)
    created_dataset = bigquery.Dataset(f"{settings.project}.{dataset}")
    created_dataset.location = settings.location
    client.create_dataset(created_dataset)
    yield settings
    if emulator is None:  # an emulator stops after the tests anyway
        client.delete_dataset(created_dataset, delete_contents=True)


@contextmanager
def new_warehouse(kind: str, folder: Path) -> Iterator[Warehouse]:
    """An empty warehouse of one of KINDS, for the tests of a module that only read the release in it."""
    if kind != "bigquery":
        yield DuckDBWarehouse(str(folder / "lake" / "warehouse.duckdb"))
    elif REAL_PROJECT:
        with new_data_set(None) as settings:
            yield BigQueryWarehouse(settings, "test")
    else:
        with new_emulator(folder / "emulator") as emulator, new_data_set(emulator) as settings:
            yield BigQueryWarehouse(settings, "test")


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """One emulator per data set: if two data sets have a table of the same name, the emulator may read the
    wrong one.
    """
    with new_emulator(tmp_path / "emulator") as emulator:
        yield emulator


@pytest.fixture
def bigquery_settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """A new data set: on the real service if TITLER_TEST_BIGQUERY_PROJECT names a project, else on the
    emulator.

    A test that intercepts the emulator's traffic always gets the emulator.
    """
    real = REAL_PROJECT and "emulator" not in request.fixturenames
    with new_data_set(None if real else request.getfixturevalue("emulator")) as settings:
        yield settings


@pytest.fixture
def bigquery_warehouse(bigquery_settings: Settings) -> BigQueryWarehouse:
    return BigQueryWarehouse(bigquery_settings, "test")


@pytest.fixture(params=KINDS)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    if request.param == "bigquery":
        warehouse = request.getfixturevalue("bigquery_warehouse")
        assert isinstance(warehouse, BigQueryWarehouse)
        return warehouse
    if request.param == "duckdb of a bucket":
        request.getfixturevalue("object_stores")
        monkeypatch.setattr(Lake, "bucket", f"s3://{BUCKET}/{uuid.uuid4().hex}")
    return DuckDBWarehouse(str(tmp_path / "lake" / "warehouse.duckdb"))
