"""Each check finds its own fault, and nothing in a healthy release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import EMBEDDINGS, SIMILAR_ISSUES, SOURCE_HEALTH, TITLE_PREDICTIONS, Table
from pipeline.warehouse import SQL
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.warehouse.events import Lake, embedding, health, neighbour, prediction

NAN = float("nan")


def found(folder: Path, lake: Lake) -> dict[str, int]:
    with DuckDBWarehouse(str(folder / "w.duckdb")).stage(*lake.release()) as staged:
        return {failure.check: failure.count for failure in staged.check()}


def healthy(folder: Path) -> Lake:
    lake = Lake(folder).add(TITLE_PREDICTIONS, "t1", [prediction(1), prediction(2, predicted_title="", abstained=True), prediction(3)])
    return lake.add(SIMILAR_ISSUES, "s1", [neighbour(2, 1), neighbour(3, 2, 1), neighbour(3, 1, 2)]).add(SOURCE_HEALTH, "h1", [health()])


def test_a_healthy_release_passes_every_check(tmp_path: Path) -> None:
    assert found(tmp_path, healthy(tmp_path)) == {}


def test_a_healthy_release_with_embeddings_passes_every_check(tmp_path: Path) -> None:
    assert found(tmp_path, healthy(tmp_path).add(EMBEDDINGS, "e1", [embedding(number, 0.5) for number in (1, 2, 3)])) == {}


FAULTS: list[tuple[str, Table, list[dict[str, Any]]]] = [
    ("title_predictions_key", TITLE_PREDICTIONS, [prediction(8), prediction(8)]),
    ("title_predictions_confidence", TITLE_PREDICTIONS, [prediction(8, confidence=1.01)]),
    ("title_predictions_confidence", TITLE_PREDICTIONS, [prediction(8, confidence=-0.01)]),
    ("title_predictions_confidence", TITLE_PREDICTIONS, [prediction(8, confidence=NAN)]),
    ("title_predictions_abstained", TITLE_PREDICTIONS, [prediction(8, predicted_title=" ")]),
    ("title_predictions_abstained", TITLE_PREDICTIONS, [prediction(8, abstained=True)]),
    ("title_predictions_model", TITLE_PREDICTIONS, [prediction(8, model_version="2")]),
    ("embeddings_key", EMBEDDINGS, [embedding(8, 0.5), embedding(8, 0.25)]),
    ("similar_issues_key", SIMILAR_ISSUES, [neighbour(9, 1), neighbour(9, 2)]),
    ("similar_issues_self", SIMILAR_ISSUES, [neighbour(9, 9)]),
    ("similar_issues_younger", SIMILAR_ISSUES, [neighbour(1, 2)]),
    ("similar_issues_order", SIMILAR_ISSUES, [neighbour(9, 1, 1), neighbour(9, 2, 3)]),  # a gap
    ("similar_issues_order", SIMILAR_ISSUES, [neighbour(9, 1, 2)]),  # does not begin at 1
    ("similar_issues_order", SIMILAR_ISSUES, [neighbour(9, 1, 1), neighbour(9, 2, 2, distance=0.05)]),  # nearer than the nearest
    ("similar_issues_order", SIMILAR_ISSUES, [neighbour(9, 1, distance=2.1)]),
    ("similar_issues_order", SIMILAR_ISSUES, [neighbour(9, 1, distance=NAN)]),
]


@pytest.mark.parametrize(("check", "table", "rows"), FAULTS)
def test_a_check_finds_its_fault(tmp_path: Path, check: str, table: Table, rows: list[dict[str, Any]]) -> None:
    assert check in found(tmp_path, healthy(tmp_path).add(table, "bad", rows))


def test_a_batch_with_other_rows_than_its_manifest_says_is_found(tmp_path: Path) -> None:
    lake = healthy(tmp_path)
    lake.members[0]["rows"] = 4
    assert found(tmp_path, lake) == {"members_rows": 1}


def test_a_batch_that_never_arrived_is_found(tmp_path: Path) -> None:
    lake = healthy(tmp_path)
    del lake.batches["similar_issues_v1"]
    assert found(tmp_path, lake) == {"members_rows": 1}


def test_an_embedding_that_is_missing_among_others_is_found(tmp_path: Path) -> None:
    lake = healthy(tmp_path).add(EMBEDDINGS, "e1", [embedding(1, 0.5)]).add(EMBEDDINGS, "e2", [embedding(2, 0.5)])
    lake.batches["embeddings_v1"].pop()
    assert found(tmp_path, lake) == {"members_rows": 1}


def test_a_batch_named_twice_is_found(tmp_path: Path) -> None:
    lake = healthy(tmp_path)
    lake.members.append(lake.members[0])
    assert found(tmp_path, lake)["members_key"] == 1


def test_every_check_has_a_fault_here() -> None:
    of_members = {"members_rows", "members_key"}
    assert {check for check, _, _ in FAULTS} | of_members == {file.stem for file in (SQL / "checks").glob("*.sql")}
