"""The rows of releases_v1 are made from records. tests/cli/test_lake_changes.py tests whole publications."""

from __future__ import annotations

from typing import Any

from pipeline.contracts import RELEASES
from pipeline.releases.publication import releases_table
from pipeline.releases.records import record_from_row


def record(release_id: str, *, rolled_back: bool = False) -> dict[str, Any]:
    return {
        "release_id": release_id,
        "published_at": "2015-01-04T03:12:00.123456+00:00",
        "published_by": "ada",
        "model": "m",
        "model_version": "3",
        "vocabulary": "v",
        "mlflow_run": "run",
        "days": 2,
        "issues": 4,
        "index_items": 4,
        "recall_at_10": 0.99,
        "accepted": "[]",
        "rolled_back": rolled_back,
    }


def test_the_last_record_is_the_current_release() -> None:
    records = [record("a"), record("b", rolled_back=True), record("c")]
    rows = releases_table(records).to_pylist()
    assert [(row["release_id"], row["status"]) for row in rows] == [
        ("a", "published"),
        ("b", "rolled_back"),
        ("c", "current"),
    ]


def test_the_table_conforms_to_its_contract() -> None:
    table = releases_table([record("a")])
    assert RELEASES.conform(table) == table


def test_a_row_gives_back_the_record_that_it_was_made_from() -> None:
    records = [record("a"), record("b", rolled_back=True), record("c")]
    assert [record_from_row(row) for row in releases_table(records).to_pylist()] == records
