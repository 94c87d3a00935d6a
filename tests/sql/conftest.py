"""What is slow to start, once a session; the three engines, each test in each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import emulator
from tests.sql.engines import DuckDB, Emulator, Engine, Evaluator
from tests.sql.googlesql import GoogleSQL


@pytest.fixture(scope="session")
def googlesql() -> GoogleSQL:
    return GoogleSQL.of_titler()


@pytest.fixture(scope="session")
def duckdb_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return DuckDB(tmp_path_factory.mktemp("duckdb"))


@pytest.fixture(scope="session")
def googlesql_engine(googlesql: GoogleSQL) -> Engine:
    return Evaluator(googlesql)


@pytest.fixture(scope="session")
def emulator_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = emulator.program()
    if path is None:
        pytest.skip("needs BigQuery's emulator: make emulator")
    with emulator.running(path, tmp_path_factory.mktemp("emulator")) as running:
        yield Emulator(running.endpoint)


@pytest.fixture(params=["duckdb", "googlesql", "emulator"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found
