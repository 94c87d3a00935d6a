"""For all tests."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from pipeline.lake.batches import Lake
from pipeline.tracking import configure_mlflow
from tests.support import postgres, stores

configure_mlflow()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def airflow_database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Where an Airflow keeps its metadata: None is a file of SQLite, as in `make demo`; else a server's address, as in production."""
    if request.param == "sqlite":
        yield None
        return
    programs = postgres.programs()
    if programs is None:
        pytest.skip(postgres.MISSING)
    with postgres.running(programs) as address:
        yield address


@pytest.fixture(scope="module")
def object_stores() -> Iterator[stores.Stores]:
    """An S3 and a Google Cloud Storage server, which this process and those that it starts find by the environment."""
    programs = stores.programs()
    if programs is None:
        pytest.skip(stores.MISSING)
    with stores.running(programs) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running
        for protocol in running.proxies:
            fsspec.get_filesystem_class(protocol).clear_instance_cache()  # they know these servers' addresses
        assert running.copies() == []


@pytest.fixture(params=["folder", "s3", "gs"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty lake may lie: one suite for all stores."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    request.getfixturevalue("object_stores")
    return f"{request.param}://{stores.BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def lake(root: str) -> Lake:
    """An empty one there."""
    return Lake(root)


@pytest.fixture(autouse=True, scope="module")
def _code_of_this_tree() -> Iterator[None]:
    """MLflow puts a loaded model's own copy of `pipeline` first on the path, where processes that a later module starts would find it."""
    before = list(sys.path)
    yield
    sys.path[:] = before
