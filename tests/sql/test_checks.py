"""Each check finds its own fault, and nothing in a healthy release."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    Table,
)
from pipeline.warehouse import SQL, Failure
from pipeline.warehouse.duckdb import DuckDBWarehouse, release_file
from tests.warehouse.events import DAY, Lake, embedding, health, mark, neighbour, pair, prediction

NAN = float("nan")


def failed_checks(folder: Path, lake: Lake) -> dict[str, int]:
    with DuckDBWarehouse(str(folder / "w.duckdb")).stage(*lake.release()) as staged:
        return counts(staged.check())


def counts(failures: list[Failure]) -> dict[str, int]:
    return {failure.check: failure.count for failure in failures}


def healthy(folder: Path) -> Lake:
    lake = Lake(folder).add(
        TITLE_PREDICTIONS,
        "t1",
        [prediction(1), prediction(2, predicted_title="", abstained=True), prediction(3)],
    )
    lake.add(DUPLICATE_MARKS, "d1", [mark("1"), mark("2", duplicate_of_repo="c/d", duplicate_of_number=2)])
    lake.add(DUPLICATE_PAIRS, "p1", [pair(2, 1), pair(3, 1, 0.1), pair(3, 2, 1.0)])
    return lake.add(SIMILAR_ISSUES, "s1", [neighbour(2, 1), neighbour(3, 2, 1), neighbour(3, 1, 2)]).add(
        SOURCE_HEALTH, "h1", [health()]
    )


def test_a_healthy_release_passes_every_check(tmp_path: Path) -> None:
    assert failed_checks(tmp_path, healthy(tmp_path)) == {}


def test_a_healthy_release_with_embeddings_passes_every_check(tmp_path: Path) -> None:
    assert (
        failed_checks(
            tmp_path,
            healthy(tmp_path).add(EMBEDDINGS, "e1", [embedding(number, 0.5) for number in (1, 2, 3)]),
        )
        == {}
    )


class Fault(NamedTuple):
    """A batch `bad` that is added to a healthy release, and the rows that the check finds."""

    check: str
    case: str
    table: Table
    rows: list[dict[str, Any]]
    rows_found: list[dict[str, Any]]


def by_number(issue_id: int, **values: Any) -> dict[str, Any]:
    """The columns that checks return for a neighbour or a prediction."""
    return {"batch_id": "bad", "issue_id": issue_id, **values}


def ranked(issue_id: int, probability_before: float | None = None, **values: Any) -> dict[str, Any]:
    """The columns that the check of the order returns for a neighbour."""
    return by_number(issue_id, list="repository", probability_before=probability_before, **values)


def paired(issue_id: int, similar: int, **values: Any) -> dict[str, Any]:
    """The columns that the check of the order returns for a pair."""
    row = by_number(issue_id, similar_issue_id=similar, source_day=DAY, similar_day=DAY, probability=0.5)
    return {**row, **values}


FAULTS = [
    Fault(
        "duplicate_marks_key",
        "twice",
        DUPLICATE_MARKS,
        [mark("8"), mark("8")],
        [{"batch_id": "bad", "event_id": "8", "found": 2}],
    ),
    Fault(
        "duplicate_marks_self",
        "of itself",
        DUPLICATE_MARKS,
        [mark("8", duplicate_of_repo="A/b", duplicate_of_number=2)],
        [{"batch_id": "bad", "event_id": "8", "repo": "a/b", "number": 2}],
    ),
    Fault(
        "duplicate_pairs_key",
        "twice",
        DUPLICATE_PAIRS,
        [pair(9, 8), pair(9, 8, 0.25), pair(9, 7)],
        [by_number(9, similar_issue_id=8, found=2)],
    ),
    Fault(
        "duplicate_pairs_order",
        "of itself",
        DUPLICATE_PAIRS,
        [pair(9, 9), pair(9, 8)],
        [paired(9, 9)],
    ),
    Fault(
        "duplicate_pairs_order",
        "with an issue of a later day",
        DUPLICATE_PAIRS,
        [pair(9, 8, similar_day=date(2015, 1, 4))],
        [paired(9, 8, similar_day=date(2015, 1, 4))],
    ),
    Fault(
        "duplicate_pairs_order",
        "less probable than what is stored",
        DUPLICATE_PAIRS,
        [pair(9, 8, 0.09)],
        [paired(9, 8, probability=0.09)],
    ),
    Fault(
        "duplicate_pairs_younger",
        "opened a minute later",
        DUPLICATE_PAIRS,
        [pair(1, 2)],
        [
            by_number(
                1,
                similar_issue_id=2,
                created_at=datetime(2015, 1, 3, 5, 1, tzinfo=UTC),
                similar_created_at=datetime(2015, 1, 3, 5, 2, tzinfo=UTC),
            )
        ],
    ),
    Fault(
        "title_predictions_key",
        "twice",
        TITLE_PREDICTIONS,
        [prediction(8), prediction(8)],
        [by_number(8, found=2)],
    ),
    Fault(
        "title_predictions_confidence",
        "over 1",
        TITLE_PREDICTIONS,
        [prediction(8, confidence=1.01)],
        [by_number(8, confidence=1.01)],
    ),
    Fault(
        "title_predictions_confidence",
        "under 0",
        TITLE_PREDICTIONS,
        [prediction(8, confidence=-0.01)],
        [by_number(8, confidence=-0.01)],
    ),
    Fault(
        "title_predictions_confidence",
        "a confidence that is no number",
        TITLE_PREDICTIONS,
        [prediction(8, confidence=NAN)],
        [by_number(8, confidence="NaN")],
    ),
    Fault(
        "title_predictions_abstained",
        "empty without abstaining",
        TITLE_PREDICTIONS,
        [prediction(8, predicted_title=" ")],
        [by_number(8, predicted_title=" ", abstained=False)],
    ),
    Fault(
        "title_predictions_abstained",
        "abstained with a title",
        TITLE_PREDICTIONS,
        [prediction(8, abstained=True)],
        [by_number(8, predicted_title="it fails", abstained=True)],
    ),
    Fault(
        "title_predictions_model",
        "another version",
        TITLE_PREDICTIONS,
        [prediction(8, model_version="2")],
        [by_number(8, model="titler", model_version="2")],
    ),
    Fault(
        "title_predictions_model",
        "another model",
        TITLE_PREDICTIONS,
        [prediction(8, model="other")],
        [by_number(8, model="other", model_version="1")],
    ),
    Fault(
        "title_predictions_model",
        "another vocabulary",
        TITLE_PREDICTIONS,
        [prediction(8, vocabulary="v2")],
        [by_number(8, model="titler", model_version="1")],
    ),
    Fault(
        "embeddings_key",
        "twice",
        EMBEDDINGS,
        [embedding(8, 0.5), embedding(8, 0.25)],
        [by_number(8, found=2)],
    ),
    Fault(
        "similar_issues_key",
        "twice",
        SIMILAR_ISSUES,
        [neighbour(9, 1), neighbour(9, 2), neighbour(9, 1, list="everywhere")],
        [by_number(9, list="repository", rank=1, found=2)],
    ),
    Fault("similar_issues_self", "itself", SIMILAR_ISSUES, [neighbour(9, 9)], [by_number(9, rank=1)]),
    Fault(
        "similar_issues_younger",
        "opened a minute later",
        SIMILAR_ISSUES,
        [neighbour(1, 2)],
        [
            by_number(
                1,
                rank=1,
                similar_issue_id=2,
                created_at=datetime(2015, 1, 3, 5, 1, tzinfo=UTC),
                similar_created_at=datetime(2015, 1, 3, 5, 2, tzinfo=UTC),
            )
        ],
    ),
    Fault(
        "similar_issues_order",
        "a gap",
        SIMILAR_ISSUES,
        [neighbour(9, 1, 1), neighbour(9, 2, 3), neighbour(9, 1, 1, list="everywhere")],
        [ranked(9, rank=3, distance=0.1 * 3, probability=0.25, probability_before=0.75)],
    ),
    Fault(
        "similar_issues_order",
        "does not begin at 1",
        SIMILAR_ISSUES,
        [neighbour(9, 1, 2, distance=0.2)],
        [ranked(9, rank=2, distance=0.2, probability=0.5)],
    ),
    Fault(
        "similar_issues_order",
        "more probable than the most probable",
        SIMILAR_ISSUES,
        [neighbour(9, 1, 1), neighbour(9, 2, 2, distance=0.05, probability=0.8)],
        [ranked(9, rank=2, distance=0.05, probability=0.8, probability_before=0.75)],
    ),
    Fault(
        "similar_issues_order",
        "farther than opposite",
        SIMILAR_ISSUES,
        [neighbour(9, 1, distance=2.1)],
        [ranked(9, rank=1, distance=2.1, probability=0.75)],
    ),
    Fault(
        "similar_issues_order",
        "more probable than certain",
        SIMILAR_ISSUES,
        [neighbour(9, 1, distance=0.1, probability=1.1)],
        [ranked(9, rank=1, distance=0.1, probability=1.1)],
    ),
    Fault(
        "similar_issues_order",
        "a distance that is no number",
        SIMILAR_ISSUES,
        [neighbour(9, 1, distance=NAN)],
        [ranked(9, rank=1, distance="NaN", probability=0.75)],
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.case}")
def test_a_check_finds_its_fault_whether_few_or_many_days_are_new(
    tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = healthy(tmp_path).add(fault.table, "bad", fault.rows)
    with DuckDBWarehouse(str(tmp_path / "w.duckdb")).stage(*lake.release()) as staged:
        of_few_days = counts(staged.check())
        monkeypatch.setattr(release_file, "FEW_DAYS", 0)
        of_many_days = counts(staged.check())
    assert of_many_days == of_few_days
    assert fault.check in of_few_days


def test_titles_of_an_earlier_champion_are_healthy_if_the_release_names_it_for_their_batch(
    tmp_path: Path,
) -> None:
    titles = [prediction(4, model="earlier", model_version="7", vocabulary="v0")]
    lake = healthy(tmp_path).add(TITLE_PREDICTIONS, "t2", titles, model="earlier")
    assert failed_checks(tmp_path, lake) == {}
    lake.members[-1]["model"] = "another"
    assert failed_checks(tmp_path, lake) == {"title_predictions_model": 1}


def test_a_batch_with_other_rows_than_its_manifest_says_is_found(tmp_path: Path) -> None:
    lake = healthy(tmp_path)
    lake.members[0]["rows"] = 4
    assert failed_checks(tmp_path, lake) == {"members_rows": 1}


def test_a_batch_that_never_arrived_is_found(tmp_path: Path) -> None:
    lake = healthy(tmp_path)
    del lake.batches["similar_issues_v2"]
    assert failed_checks(tmp_path, lake) == {"members_rows": 1}


def test_an_embedding_that_is_missing_among_others_is_found(tmp_path: Path) -> None:
    lake = (
        healthy(tmp_path)
        .add(EMBEDDINGS, "e1", [embedding(1, 0.5)])
        .add(EMBEDDINGS, "e2", [embedding(2, 0.5)])
    )
    lake.batches["embeddings_v1"].pop()
    assert failed_checks(tmp_path, lake) == {"members_rows": 1}


def test_a_batch_named_twice_is_found(tmp_path: Path) -> None:
    lake = healthy(tmp_path)
    lake.members.append(lake.members[0])
    assert failed_checks(tmp_path, lake)["members_key"] == 1


def test_every_check_has_a_fault_here() -> None:
    of_members = {"members_rows", "members_key"}
    assert {fault.check for fault in FAULTS} | of_members == {
        file.stem for file in (SQL / "checks").glob("*.sql")
    }
