"""A query about one day opens the files of that day: of the history, not even the footers are read."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.contracts import EMBEDDINGS, SIMILAR_ISSUES, SOURCE_HEALTH, TITLE_PREDICTIONS
from pipeline.warehouse import Query
from pipeline.warehouse.duckdb import DuckDBWarehouse
from pipeline.warehouse.duckdb.differences_from_bigquery import translate
from tests.warehouse.events import DAY, Lake, embedding, health, neighbour, prediction, publish

DAYS = [DAY + timedelta(number) for number in range(8)]
SIXTH = "DATE '2015-01-08'"
VIEWS = {
    "title_predictions": 1,
    "poor_titles": 1,
    "similar_issues": 1,
    "near_duplicates": 2,  # a file of similar issues, and one of titles
    "embeddings": 2,
}


def history(folder: Path, days: list[date] = DAYS) -> Lake:
    """A release with an issue per day, which has a near-duplicate."""
    lake = Lake(folder)
    for number, day in enumerate(days, start=1):
        lake.add(TITLE_PREDICTIONS, f"t{number}", [prediction(number, source_day=day)], day=day)
        neighbours = [neighbour(number, number - 1)] if number > 1 else []
        lake.add(SIMILAR_ISSUES, f"s{number}", neighbours, day=day)
        lake.add(EMBEDDINGS, f"e{number}", [embedding(number, 0.5)], day=day)
        lake.add(SOURCE_HEALTH, f"h{number}", [health(day)], day=day)
    return lake


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("history")
    path = folder / "warehouse.duckdb"
    publish(DuckDBWarehouse(str(path)), history(folder))
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


def files_read(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The number of Parquet files that DuckDB reads for a query."""
    (_, plan), *_ = connection.execute(f"EXPLAIN ANALYZE {sql}").fetchall()
    return sum(int(count) for count in re.findall(r"Total Files Read: (\d+)", plan))


@pytest.mark.parametrize(("view", "files"), VIEWS.items())
def test_one_day_is_one_file_per_table(connection: Any, view: str, files: int) -> None:
    sql = f"SELECT issue_id FROM {view} WHERE source_day = {SIXTH}"
    assert connection.execute(sql).fetchall() == [(6,)]
    assert files_read(connection, f"SELECT * FROM {view} WHERE source_day = {SIXTH}") == files


def test_the_health_of_one_day_is_one_file(connection: Any) -> None:
    assert files_read(connection, f"SELECT * FROM source_health WHERE day = {SIXTH}") == 1


def test_two_days_are_two_files(connection: Any) -> None:
    where = "source_day BETWEEN DATE '2015-01-08' AND DATE '2015-01-09'"
    assert files_read(connection, f"SELECT * FROM title_predictions WHERE {where}") == 2


def test_one_day_of_a_retained_release_is_one_file(connection: Any) -> None:
    sql = f"SELECT * FROM title_predictions_at('r1') WHERE source_day = {SIXTH}"
    assert files_read(connection, sql) == 1


@pytest.mark.parametrize("check", Query.folder("checks"), ids=lambda check: check.stem)
def test_a_check_reads_the_files_of_new_batches(connection: Any, check: Query) -> None:
    parameters = {
        "release": "r1",
        "days": [DAYS[5]],
        "first_day": DAYS[5],
        "batches": ["t6", "s6", "e6", "h6"],
    }
    translation = translate(check.sql)
    values = {name: parameters[name] for name in translation.parameters}
    (_, plan), *_ = connection.execute(f"EXPLAIN ANALYZE {translation.sql}", values).fetchall()
    since_then = {"3"} if check.stem == "similar_issues_younger" else set()  # days six to eight
    assert set(re.findall(r"Total Files Read: (\d+)", plan)) <= {"1"} | since_then


def test_without_a_day_all_files_are_read(connection: Any) -> None:
    assert files_read(connection, "SELECT * FROM title_predictions") == 8


def test_files_of_other_days_are_not_even_opened(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(str(tmp_path / "warehouse.duckdb"))
    publish(warehouse, history(tmp_path))
    first, *others = sorted((tmp_path / "title_predictions_v1").rglob("*.parquet"))
    assert "day=2015-01-03" in str(first)  # DuckDB takes the columns from the first file
    for file in others:
        if "day=2015-01-08" not in str(file):
            file.write_bytes(b"not a Parquet file")
    sql = f"SELECT issue_id FROM title_predictions WHERE source_day = {SIXTH}"
    assert warehouse.query(Query("one day", sql)).to_pylist() == [{"issue_id": 6}]
