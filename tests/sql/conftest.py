"""Fixtures that start slowly, shared by a session, and the three engines, which run each test."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sql.engines import DuckDB, Emulator, Engine, Evaluator, Events
from tests.sql.googlesql import GoogleSQL
from tests.support import emulator

RealHours = dict[str, Events]  # name, as "2015-01-01-1" -> lines of that hour


@pytest.fixture(scope="session")
def real_hours() -> RealHours:
    folder = os.environ.get("TITLER_TEST_DATA")
    if not folder:
        pytest.skip("needs two real hours of GH Archive: set TITLER_TEST_DATA")
    files = sorted((Path(folder) / "gharchive").glob("*.json.gz"))
    return {
        file.name.removesuffix(".json.gz"): _sampled(gzip.decompress(file.read_bytes()).splitlines())
        for file in files
    }


def _sampled(lines: list[bytes]) -> Events:
    """The issue events and, to save time, a tenth of the others, none of which may be extracted."""
    return [line for number, line in enumerate(lines) if b'"type":"IssuesEvent"' in line or number % 10 == 0]


@pytest.fixture(scope="session")
def googlesql() -> GoogleSQL:
    return GoogleSQL.of_titler()


@pytest.fixture(scope="session")
def duckdb_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return DuckDB(tmp_path_factory.mktemp("duckdb"))


@pytest.fixture(scope="session")
def googlesql_engine(googlesql: GoogleSQL) -> Engine:
    return Evaluator(googlesql)


@pytest.fixture(scope="module")  # it leaks memory, and crashes after a few hundred queries
def emulator_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = emulator.program()
    if path is None:
        pytest.skip("needs BigQuery's emulator: make emulators")
    with emulator.running(path, tmp_path_factory.mktemp("emulator")) as running:
        yield Emulator(running.endpoint)


@pytest.fixture(params=["duckdb", "googlesql", "emulator"])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine
