"""Options, order and fixtures of all tests."""

from __future__ import annotations

import gc
import random
import sys
import uuid
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import fsspec
import pytest

from pipeline.lake.batches import Lake
from pipeline.tracking import configure_mlflow
from tests.support import quick_mlflow, quick_tensorflow, stores

TESTS = Path(__file__).resolve().parent
LONGEST_FILES = (
    "infra/test_compose.py",
    "dags/test_backfill.py",
    "test_docs.py",
    "warehouse/test_contract.py",
    "infra/test_up.py",
    "test_interrupted_work.py",
    "networks/in_keras/test_training.py",
    "networks/pretrained/test_network.py",
    "dags/test_failures.py",
    "infra/test_local_airflow.py",
    "networks/in_keras/test_devices.py",
    "stages/test_real_days.py",
    "cli/test_lake_changes.py",
    "lake/test_stores.py",
    "warehouse/bigquery/test_extract.py",
    "cli/test_forget.py",
    "warehouse/bigquery/test_tables.py",
    "test_store_requests.py",
    "lake/test_lake_in_a_bucket.py",
    "cli/test_train_from_file.py",
    "cli/test_mistakes.py",
)
"""These run first, so that at the end no worker has a long file left while the others are idle."""

configure_mlflow()
quick_mlflow.copy_initial_database()
quick_tensorflow.skip_graph_optimization()
gc.disable()  # until all tests are collected: hardly anything of what is imported is garbage


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run files, and the tests of each file, in a random order"
    )


@pytest.hookimpl(tryfirst=True)  # before pytest groups the tests that share a fixture's parameter
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the longest files first; with --shuffle, files and the tests of each file in a random order."""
    seed = config.getoption("--shuffle")
    if seed is None:
        ranks = {TESTS / name: rank for rank, name in enumerate(LONGEST_FILES)}
        items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
        return
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    dice = random.Random(seed)
    dice.shuffle(files)
    for tests in files:
        dice.shuffle(tests)
    items[:] = [test for tests in files for test in tests]


def pytest_collection_finish() -> None:
    """Enables garbage collection, which from now on skips what was imported and collected."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module")
def object_stores() -> Iterator[stores.Stores]:
    """An S3 and a Google Cloud Storage server, which processes find through the environment."""
    programs = stores.programs()
    if programs is None:
        pytest.skip(stores.MISSING)
    with stores.running(programs) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running
        for protocol in running.proxies:
            fsspec.get_filesystem_class(
                protocol
            ).clear_instance_cache()  # instances hold these servers' addresses
        assert running.copies() == []


@pytest.fixture(params=["folder", "s3", "gs"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty lake in each kind of store."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    request.getfixturevalue("object_stores")
    return f"{request.param}://{stores.BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def lake(root: str) -> Lake:
    """An empty lake in each kind of store."""
    return Lake(root)


@pytest.fixture(autouse=True, scope="module")
def _code_of_this_tree() -> Iterator[None]:
    """Restores the import path: MLflow prepends the copy of `pipeline` that is stored with a loaded model."""
    before = list(sys.path)
    yield
    sys.path[:] = before
