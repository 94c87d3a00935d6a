"""What the verbs that answer print."""

from __future__ import annotations

import json
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
        "model     there is no champion (model in use) yet",
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
        "(no title: the model abstains. If it gave a title, the title would have a confidence of 0.50)",
        "(no title: the model abstains. If it gave a title, the title would have a confidence of 0.50, and a "
        "probability of 0.12 that it is like the author's title)",
    ]


def test_a_model_that_abstains_may_be_unsure_although_the_probability_is_high(
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = {"title": "", "confidence": 0.25, "abstained": True, "withheld": None, "probability": 0.8125}
    query_reports.title(value, as_json=False)
    assert capsys.readouterr().out == (
        "(no title: the model abstains. If it gave a title, the title would have a confidence of 0.25, and a "
        "probability of 0.81 that it is like the author's title)\n"
    )


def similar_issue(number: int, probability: float | None, **values: Any) -> dict[str, Any]:
    """A row that `queries.similar` returns."""
    suggested = None if probability is None else probability >= 0.5
    return {
        "issue_url": f"https://github.com/a/b/issues/{number}", "title": "it fails", "distance": 0.25,
        "near_duplicate": False, "list": "everywhere", "probability": probability, "suggested": suggested,
        "words_in_common": "", "title_overlap": 0.5, "age_days": 3, "similar_text": "own", "group_size": 1,
        **values,
    }  # fmt: skip


def test_only_suggested_issues_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    query_reports.similar([similar_issue(1, 0.75), similar_issue(2, 0.25)], as_json=False)
    assert capsys.readouterr().out == "0.75  https://github.com/a/b/issues/1  it fails\n"


def test_if_nothing_is_suggested_the_best_probability_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [similar_issue(1, 0.081, list="repository"), similar_issue(2, 0.02)]
    query_reports.similar(rows, as_json=False)
    assert capsys.readouterr().out == (
        "no issue is similar enough (highest probability: 0.08). To show all issues: --all\n"
    )
    query_reports.similar([], as_json=False)
    assert capsys.readouterr().out == "no issue is similar enough\n"


def test_similar_issues_of_a_file_are_shown_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    drafts: list[dict[str, Any]] = [
        {"row": 1, "issue_url": None, "title": "it fails", "problem": None,
         "similar": [similar_issue(1, 0.75), similar_issue(2, 0.25)]},
        {"row": 2, "issue_url": "https://github.com/a/b/issues/9", "title": ".", "problem": "No words.",
         "similar": []},
    ]  # fmt: skip
    query_reports.similar_of_file(drafts, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "row 1: it fails",
        "0.75  https://github.com/a/b/issues/1  it fails",
        "row 2: https://github.com/a/b/issues/9",
        "No words.",
    ]
    query_reports.similar_of_file(drafts, as_json=True)
    first, second = json.loads(capsys.readouterr().out)
    assert (first["row"], [row["probability"] for row in first["similar"]]) == (1, [0.75])
    assert second == drafts[1]


def test_all_similar_issues_are_shown_with_reasons_and_a_heading_per_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        similar_issue(1, 0.9, list="repository", near_duplicate=True, words_in_common="crash, menu"),
        similar_issue(2, 0.25, similar_text="automated", group_size=4),
    ]
    query_reports.similar(rows, as_json=False, show_all=True)
    assert capsys.readouterr().out.splitlines() == [
        "in the same repository:",
        "0.90  https://github.com/a/b/issues/1  it fails  (near-duplicate; words in common: crash, menu)",
        "in all repositories:",
        "0.25  https://github.com/a/b/issues/2  it fails  "
        "(a program's report; stands for 4 issues with the same text)",
    ]


def test_similar_issues_without_probability_are_all_shown_with_their_distance(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = similar_issue(1, None, words_in_common=None, similar_text=None, group_size=None)
    query_reports.similar([row], as_json=False)
    assert capsys.readouterr().out == "0.250  https://github.com/a/b/issues/1  it fails\n"


def test_the_json_of_similar_issues_has_those_that_are_suggested_or_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [similar_issue(1, 0.75), similar_issue(2, 0.25)]
    query_reports.similar(rows, as_json=True)
    assert json.loads(capsys.readouterr().out) == rows[:1]
    query_reports.similar(rows[1:], as_json=True)
    assert json.loads(capsys.readouterr().out) == []
    query_reports.similar(rows, as_json=True, show_all=True)
    assert json.loads(capsys.readouterr().out) == rows
