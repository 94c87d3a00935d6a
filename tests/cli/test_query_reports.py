"""What the verbs that answer print."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.cli import query_reports

COUNTS = {"hours_found": 24, "events": 9, "malformed": 0, "issues": 5, "trainable": 3, "verdict": "complete"}


def status_of(*days: str) -> dict[str, Any]:
    return {"days": [{"day": day, **COUNTS} for day in days], "model": None, "release": None}


def test_the_status_of_a_lake_without_a_release(capsys: pytest.CaptureFixture[str]) -> None:
    value = status_of("2015-01-01", "2015-01-02")
    value["days"][1] |= {"verdict": "partial", "hours_found": 23, "events": 1234}
    query_reports.status(value, False, {"2015-01-02": "23 of 24 hours found"})
    assert capsys.readouterr().out.splitlines() == [
        "days      1 complete, 1 partial",
        "          day         hours  events  malformed  issues  trainable  verdict",
        "          2015-01-01  24/24       9          0       5          3  complete",
        "          2015-01-02  23/24   1,234          0       5          3  partial: 23 of 24 hours found",
        "model     no model is champion yet",
        "release   no release is published yet",
    ]


def test_status_lists_days_that_were_never_extracted(capsys: pytest.CaptureFixture[str]) -> None:
    query_reports.status(status_of("2015-02-27", "2015-03-01", "2015-03-02", "2015-03-05"), False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[6] == "          days that were never extracted: 2015-02-28, 2015-03-03 to 2015-03-04"


@pytest.mark.parametrize(
    ("days", "gaps"),
    [
        ([], []),
        (["2015-01-01"], []),
        (["2015-01-01", "2015-01-02"], []),
        (["2015-01-01", "2015-01-03"], [("2015-01-02", "2015-01-02")]),
        (["2014-12-30", "2015-01-03"], [("2014-12-31", "2015-01-02")]),
    ],
)
def test_gaps_are_the_days_between(days: list[str], gaps: list[tuple[str, str]]) -> None:
    assert query_reports.gaps(days) == gaps


@pytest.mark.parametrize(
    ("is_ready", "state"), [(True, "has arrived"), (False, "has not arrived yet")], ids=["ready", "not ready"]
)
def test_ready_says_whether_the_last_hour_has_arrived(
    capsys: pytest.CaptureFixture[str], is_ready: bool, state: str
) -> None:
    query_reports.ready({"day": "2015-01-01", "ready": is_ready, "source": "hour 23 in hours"}, False)
    assert capsys.readouterr().out == f"ready: 2015-01-01: hour 23 in hours {state}\n"


def test_the_status_says_that_titles_are_withheld(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "ROUGE-L 2.98, first words 15.6"
    release = {
        "id": "r",
        "published_at": "2015-01-04T03:12:00+00:00",
        "issues": 3,
        "index_items": 3,
        "recall_at_10": 1.0,
        "age_hours": 2.5,
        "titles_withheld": reason,
    }
    model = {"name": "m", "version": "3", "variant": "copy", "titles_withheld": reason}
    query_reports.status({"days": [], "model": model, "release": release}, False)
    assert capsys.readouterr().out.splitlines() == [
        "days      none",
        "model     m, version 3, variant copy",
        "          titles withheld: ROUGE-L 2.98, first words 15.6",
        "release   r, published 2015-01-04T03:12:00 UTC: 3 issues, 3 vectors in the index, recall@10 1.000, "
        "2.5 hours old",
        "          titles withheld: ROUGE-L 2.98, first words 15.6",
    ]


def test_a_title_that_is_withheld_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    withheld = {"title": "", "confidence": 0.5, "abstained": True, "withheld": "ROUGE-L 2, first words 15"}
    query_reports.title(withheld, as_json=False)
    query_reports.title({**withheld, "withheld": None}, as_json=False)
    query_reports.title({**withheld, "withheld": None, "probability": 0.125}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "(no title: the titles of this model are withheld: ROUGE-L 2, first words 15)",
        "(no title: the model abstains. Its title would have a confidence of 0.50)",
        "(no title: the model abstains. Its title would have a confidence of 0.50, and the probability 0.12 "
        "of being like an author's title)",
    ]


def test_a_model_that_abstains_may_be_unsure_although_the_probability_is_high(
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = {"title": "", "confidence": 0.25, "abstained": True, "withheld": None, "probability": 0.8125}
    query_reports.title(value, as_json=False)
    assert capsys.readouterr().out == (
        "(no title: the model abstains. Its title would have a confidence of 0.25, and the probability 0.81 "
        "of being like an author's title)\n"
    )
