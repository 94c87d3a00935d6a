"""The checks that a report shows."""

from __future__ import annotations

import json
from typing import Any

from pipeline.serving.report.checks import publication_checks
from pipeline.settings import Settings
from tests.support.release_records import release_record

INDEX = {"recall_at_10": 0.98, "recall_queries": 1000}
EARLIER = release_record("r1", "2024-01-01T00:00:00+00:00", abstained=0.1)


def outcomes(
    previous: dict[str, Any] | None = None,
    index: dict[str, Any] | None = None,
    evaluation: dict[str, Any] | None = None,
    collapsed: int = 0,
    **changes: Any,
) -> dict[str, tuple[str, str]]:
    """The figure and the outcome of each check of a release, by the check's name."""
    record = release_record("r2", "2024-01-02T00:00:00+00:00", **changes)
    checks = publication_checks(Settings(), record, previous, index or INDEX, evaluation, collapsed)
    return {check.name: (check.figure, check.outcome) for check in checks}


def test_a_release_of_an_earlier_version_has_few_checks() -> None:
    assert outcomes() == {
        "Collapsed source days": ("0", "passed"),
        "Recall@10 of the index": ("0.980", "passed"),
        "Issues without a title": ("unknown", "not measured"),
        "Marked duplicates among similar issues": ("unknown", "not measured"),
        "Queries in sql/checks": ("0 rows", "passed"),
    }


def test_the_figures_of_a_first_release_are_not_compared() -> None:
    marked = json.dumps({"pairs": 400, "recall_at_10": 0.5})
    checks = outcomes(abstained=0.15, marked_duplicates=marked)
    assert checks["Issues without a title"] == ("15.0%", "not compared")
    assert checks["Marked duplicates among similar issues"] == ("50.0% of 400 pairs", "not compared")


def test_the_segment_with_the_lowest_recall_is_shown() -> None:
    segments = [{"period": "2024-01", "recall_at_10": 0.95}, {"period": "2024-02", "recall_at_10": 0.97}]
    assert outcomes(index=INDEX | {"segments": segments})["Recall@10 of a segment"] == ("0.950", "passed")


def test_a_collapsed_day_was_accepted() -> None:
    accepted = json.dumps([{"day": "2024-01-02", "because": "holiday", "by": "me", "at": "", "health": ""}])
    assert outcomes(collapsed=1, accepted=accepted)["Collapsed source days"] == ("1", "accepted")


def test_a_small_rise_of_the_share_without_a_title_passes() -> None:
    assert outcomes(EARLIER, abstained=0.15)["Issues without a title"] == ("15.0%", "passed")


def test_a_large_rise_was_accepted() -> None:
    entry = {"titles": "30.0% of the issues have no title, ...", "because": "b", "by": "me", "at": ""}
    checks = outcomes(EARLIER, abstained=0.3, titles_accepted=json.dumps([entry]))
    assert checks["Issues without a title"] == ("30.0%", "accepted")


def test_marked_duplicates_are_compared_with_the_release_before() -> None:
    def marked(recall: float, pairs: int) -> str:
        return json.dumps({"pairs": pairs, "recall_at_10": recall})

    before = release_record("r1", "2024-01-01T00:00:00+00:00", marked_duplicates=marked(0.5, 400))
    name = "Marked duplicates among similar issues"
    assert outcomes(before, marked_duplicates=marked(0.51, 400))[name] == ("51.0% of 400 pairs", "passed")
    assert outcomes(before, marked_duplicates=marked(0.1, 20))[name] == ("10.0% of 20 pairs", "not compared")


def test_titles_below_their_floor_are_withheld() -> None:
    evaluation = {"rougeL": 3.0, "lead_rougeL": 15.6}
    name = "Titles compared with the body's first words"
    assert outcomes(evaluation=evaluation, titles_withheld="ROUGE-L 3")[name] == ("ROUGE-L 3.0", "failed")
    assert outcomes(evaluation={"rougeL": 31.4, "lead_rougeL": 15.6})[name] == ("ROUGE-L 31.4", "passed")


def test_titles_below_their_floor_that_are_shown_fail() -> None:
    checks = outcomes(evaluation={"rougeL": 2.4, "lead_rougeL": 29.2})
    assert checks["Titles compared with the body's first words"] == ("ROUGE-L 2.4", "failed")
