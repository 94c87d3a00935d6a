"""What is printed about duplicate marks, and about what was learned from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import mark_reports
from pipeline.lake.batches import Lake
from pipeline.settings import LakeSettings, Settings
from pipeline.stages.learn_ordering import OrderingOutcome
from tests.support.titler_in_process import titler

SCORES = {
    "recall_at_10": 0.632,
    "mrr": 0.418,
    "brier": 0.025,
    "expected_calibration_error": 0.0022,
    "precision": 0.6,
    "coverage": 0.0125,
}
FIGURES = {
    "learned_from": {"pairs": 1200, "repositories": 40, "issues": 13200},
    "tested_on": {"pairs": 300, "repositories": 9, "issues": 3300},
    "scores": SCORES,
    "default_scores": {**SCORES, "precision": None},
}


def test_how_well_similar_issues_agree_with_marks(capsys: pytest.CaptureFixture[str]) -> None:
    marked = {"pairs": 1, "recall_at_1": 0.5, "recall_at_5": 0.75, "recall_at_10": 1.0}
    mark_reports.measured({**marked, "suggested": 0})
    mark_reports.measured({**marked, "suggested": 1200, "suggested_marked": 300, "precision": 0.25})
    recall = "recall@1 0.500, recall@5 0.750, recall@10 1.000"
    pair = f"    share of marked duplicates that are listed as similar issues, measured on 1 pair: {recall}"
    assert capsys.readouterr().out.splitlines() == [
        pair,
        pair,
        (
            "    similar issues that are suggested in the repositories of these pairs: 1,200; of these, "
            "marked as duplicates so far: 300 (precision 25%)"
        ),
    ]


@pytest.mark.parametrize(
    ("reason", "is_used", "last"),
    [
        ("", True, ["    releases that are planned from now on use the new ordering"]),
        ("it is worse", False, ["    the new ordering is not used: it is worse"]),
        (
            "it is worse",
            True,
            [
                "    the new ordering is the same as the ordering in use. It stays in use, although it is no "
                "longer good enough: it is worse",
                "    To use the default ordering instead: titler learn-ordering --default",
            ],
        ),
    ],
)
def test_what_was_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reason: str, is_used: bool, last: list[str]
) -> None:
    settings = Settings(lake=LakeSettings(root=str(tmp_path)))
    outcome = OrderingOutcome("1-1-abc", reason, FIGURES, is_used)
    mark_reports.ordering_learned(Lake(str(tmp_path)), settings, outcome)
    scores = "recall@10 0.632, MRR 0.418, Brier score 0.02500, calibration error 0.00220"
    assert capsys.readouterr().out.splitlines() == [
        f"learn-ordering: ordering 1-1-abc was learned -> {tmp_path}/orderings, sqlite:///{tmp_path}/mlflow.db",
        "    learned from 1,200 marked pairs of 40 repositories, tested on 300 pairs of 9 other repositories",
        f"    learned: {scores}, suggestions for 1.25% of the issues, precision 60%",
        f"    default: {scores}, no suggestion",
        *last,
    ]


def test_the_command_learns_nothing_without_a_release_and_can_return_to_the_default(tmp_path: Path) -> None:
    lake = {"TITLER_LAKE__ROOT": str(tmp_path)}
    done = titler("learn-ordering", "--skip-code", "99", environment=lake)
    assert (done.returncode, done.stdout) == (
        99,
        "learn-ordering: nothing was learned: no release is published yet\n",
    )
    done = titler("learn-ordering", "--default", environment=lake)
    assert (done.returncode, done.stdout) == (
        0,
        "learn-ordering: releases that are planned from now on use the default ordering\n",
    )
