"""What every warehouse does, whichever it is."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import SIMILAR_ISSUES, SOURCE_HEALTH, TABLES, TITLE_PREDICTIONS
from pipeline.errors import ContractError, UsageError
from pipeline.warehouse import Query, Warehouse
from tests.warehouse.events import DAY, Lake, ask, health, neighbour, prediction, publish, release

NEXT_DAY = date(2015, 1, 4)


def test_nothing_is_current_before_the_first_release(warehouse: Warehouse) -> None:
    assert warehouse.current_release() is None


def test_a_query_before_the_first_release_says_what_to_do(warehouse: Warehouse) -> None:
    with pytest.raises(UsageError, match="no release has been published yet"):
        ask(warehouse, "SELECT * FROM title_predictions")


def test_what_is_made_current_is_seen_with_its_batch_and_release(warehouse: Warehouse, tmp_path: Path) -> None:
    publish(warehouse, Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    assert warehouse.current_release() == "r1"
    assert ask(warehouse, "SELECT * FROM title_predictions") == [{**prediction(1), "batch_id": "t1", "release_id": "r1"}]


def test_what_is_staged_is_not_seen(warehouse: Warehouse, tmp_path: Path) -> None:
    publish(warehouse, Lake(tmp_path / "1").add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    lake = Lake(tmp_path / "2").add(TITLE_PREDICTIONS, "t2", [prediction(2)], release_id="r2")
    for table, batches in lake.batches.items():
        warehouse.load(TABLES[table], batches)
    with warehouse.stage(*lake.release(release("r2"))) as staged:
        sql = "SELECT issue_id FROM title_predictions"
        assert staged.query(Query("ask", sql)).to_pylist() == [{"issue_id": 2}]
        assert (ask(warehouse, sql), warehouse.current_release()) == ([{"issue_id": 1}], "r1")
    assert warehouse.current_release() == "r1"  # left without being made current


def test_a_release_replaces_the_one_before_and_can_be_rolled_back(warehouse: Warehouse, tmp_path: Path) -> None:
    first = Lake(tmp_path / "1").add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    publish(warehouse, first)
    second = Lake(tmp_path / "2").add(TITLE_PREDICTIONS, "t2", [prediction(2)], release_id="r2")
    publish(warehouse, second, release("r1", "published"), release("r2"))
    sql = "SELECT issue_id, release_id FROM title_predictions"
    assert ask(warehouse, sql) == [{"issue_id": 2, "release_id": "r2"}]
    publish(warehouse, first, release("r1"), release("r2", "rolled_back"))
    assert ask(warehouse, sql) == [{"issue_id": 1, "release_id": "r1"}]
    assert ask(warehouse, "SELECT release_id, status FROM releases ORDER BY release_id") == [
        {"release_id": "r1", "status": "current"},
        {"release_id": "r2", "status": "rolled_back"},
    ]


def test_making_current_can_be_repeated(warehouse: Warehouse, tmp_path: Path) -> None:
    with warehouse.stage(*Lake(tmp_path).release()) as staged:
        staged.make_current()
        staged.make_current()
        assert staged.query(Query("ask", "SELECT release_id FROM releases")).to_pylist() == [{"release_id": "r1"}]
    assert warehouse.current_release() == "r1"


def test_a_batch_loaded_twice_is_there_once(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)])
    publish(warehouse, lake)
    publish(warehouse, lake)
    assert ask(warehouse, "SELECT COUNT(*) AS n FROM title_predictions") == [{"n": 1}]


@pytest.mark.parametrize("view", ["title_predictions", "similar_issues", "near_duplicates", "source_health"])
def test_a_view_of_a_table_without_batches_is_empty_with_all_its_columns(warehouse: Warehouse, tmp_path: Path, view: str) -> None:
    publish(warehouse, Lake(tmp_path))
    rows = warehouse.query(Query("ask", f"SELECT * FROM {view}"))
    assert rows.num_rows == 0
    assert {"batch_id", "release_id"} < set(rows.column_names)


def test_a_batch_without_rows_is_fine(warehouse: Warehouse, tmp_path: Path) -> None:
    publish(warehouse, Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", []).add(TITLE_PREDICTIONS, "t2", [prediction(2)], day=NEXT_DAY))
    assert ask(warehouse, "SELECT issue_id FROM title_predictions") == [{"issue_id": 2}]


def test_an_issue_recorded_on_two_days_shows_its_earliest(warehouse: Warehouse, tmp_path: Path) -> None:
    later = prediction(3, created_at=prediction(59)["created_at"], source_day=NEXT_DAY)
    lake = Lake(tmp_path)
    lake.add(TITLE_PREDICTIONS, "t2", [later], day=NEXT_DAY).add(TITLE_PREDICTIONS, "t1", [prediction(1), prediction(2), prediction(3)])
    lake.add(SIMILAR_ISSUES, "s2", [neighbour(3, 1)], day=NEXT_DAY).add(SIMILAR_ISSUES, "s1", [neighbour(3, 2), neighbour(3, 1, 2)])
    publish(warehouse, lake)
    assert ask(warehouse, "SELECT batch_id FROM title_predictions WHERE issue_id = 3") == [{"batch_id": "t1"}]
    found = ask(warehouse, "SELECT rank, similar_issue_id, batch_id FROM similar_issues ORDER BY rank")
    assert found == [{"rank": 1, "similar_issue_id": 2, "batch_id": "s1"}, {"rank": 2, "similar_issue_id": 1, "batch_id": "s1"}]


def test_near_duplicates_are_of_one_repository_and_near(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(number) for number in range(1, 5)])
    near = [neighbour(4, 3), neighbour(4, 2, 2, same_repo=False), neighbour(4, 1, 3, near_duplicate=False)]
    publish(warehouse, lake.add(SIMILAR_ISSUES, "s1", near))
    found = ask(warehouse, "SELECT issue_id, title, similar_issue_id, source_day FROM near_duplicates")
    assert found == [{"issue_id": 4, "title": "it fails", "similar_issue_id": 3, "source_day": DAY}]


def test_health_keeps_its_list(warehouse: Warehouse, tmp_path: Path) -> None:
    publish(warehouse, Lake(tmp_path).add(SOURCE_HEALTH, "h1", [health()]))
    assert ask(warehouse, "SELECT hours_missing, verdict FROM source_health") == [{"hours_missing": [4], "verdict": "partial"}]


def test_an_analyst_writes_bigquery_with_named_parameters(warehouse: Warehouse, tmp_path: Path) -> None:
    publish(warehouse, Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1, confidence=0.25), prediction(2, confidence=0.75)]))
    figures = "COUNTIF(confidence >= @floor) AS sure, SAFE_DIVIDE(SUM(confidence), COUNT(*)) AS mean"
    sql = f"SELECT repo, {figures} FROM title_predictions GROUP BY repo"
    assert ask(warehouse, sql, floor=0.5) == [{"repo": "a/b", "sure": 1, "mean": 0.5}]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM nothing", "does not run"),
        ("SELECT @floor AS x", "parameter @floor has no value"),
        ("DROP TABLE releases_v1", "Expected one SELECT"),
    ],
)
def test_a_query_that_cannot_run_is_refused(warehouse: Warehouse, tmp_path: Path, sql: str, message: str) -> None:
    publish(warehouse, Lake(tmp_path))
    with pytest.raises(UsageError, match=message):
        ask(warehouse, sql)


@pytest.mark.parametrize("releases", [[release("r1", "published")], [release("r1"), release("r2")]])
def test_one_release_is_current_not_more_not_less(warehouse: Warehouse, tmp_path: Path, releases: list[dict[str, Any]]) -> None:
    with pytest.raises(UsageError, match="A warehouse shows one release"):
        warehouse.stage(*Lake(tmp_path).release(*releases))


def test_a_release_that_breaks_its_contract_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    releases, members, batches = Lake(tmp_path).release()
    with pytest.raises(ContractError, match=r"release_members_v1.*batch_id"):
        warehouse.stage(releases, members.drop_columns(["batch_id"]), batches)


def test_what_lives_in_the_lake_alone_is_not_staged(warehouse: Warehouse, tmp_path: Path) -> None:
    releases, members, _ = Lake(tmp_path).release()
    with pytest.raises(UsageError, match="tokens_v1 does not live in the warehouse"):
        warehouse.stage(releases, members, {"tokens_v1": []})


def test_collecting_keeps_the_batches_that_are_named(warehouse: Warehouse, tmp_path: Path) -> None:
    publish(warehouse, Lake(tmp_path).add(TITLE_PREDICTIONS, "t1", [prediction(1)]))
    warehouse.collect({"title_predictions_v1": {"t1"}})
    assert ask(warehouse, "SELECT issue_id FROM title_predictions") == [{"issue_id": 1}]


def test_an_unknown_query_file_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="extract_issues"):
        Query.from_file("nothing")
