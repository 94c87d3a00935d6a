"""The figures of a day, and how they compare with those of the release before."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from pipeline.contracts import VECTORS
from pipeline.serving.report.day_figures import DayFigures, drift, measure_day

ISSUES = pa.table(
    {
        "issue_id": [1, 2, 3, 4],
        "repo": ["a/b", "a/b", "c/d", "c/d"],
        "title": [
            "crash",
            "\u043d\u0435 \u0440\u0430\u0431\u043e\u0442\u0430\u0435\u0442",
            "404",
            "caf\u00e9",
        ],
        "body": ["It crashes.", None, "", "x" * 100],
    }
)
TITLES = pa.table(
    {"issue_id": [1, 2, 3, 4], "confidence": [0.2, 0.4, 0.6, 0.8], "abstained": [True, False, False, False]}
)
VECTORS_OF_DAY = pa.table(
    {"title": [[2, 1, 0]], "body": [[0, 0, 5]]},
    schema=VECTORS.schema.empty_table().select(["title", "body"]).schema,
)

FIGURES = DayFigures(
    day="2024-01-02",
    issues_batch="i",
    titles_batch="t",
    issues=4,
    repositories=2,
    title_characters=4.5,
    body_characters=11.0,
    without_body=0.25,
    other_script=1 / 3,
    unknown=1 / 3,
    confidence=0.5,
    abstained=0.25,
)


def test_the_figures_of_a_day() -> None:
    assert measure_day("2024-01-02", "i", "t", ISSUES, TITLES, VECTORS_OF_DAY) == FIGURES


def test_a_day_without_issues_has_no_shares() -> None:
    empty = measure_day("2024-01-02", "i", "t", ISSUES[:0], TITLES[:0], VECTORS.empty())
    assert empty == DayFigures("2024-01-02", "i", "t", 0, 0, None, None, None, None, None, None, None)


def test_new_days_are_compared_with_those_of_the_release_before() -> None:
    day_before = replace(FIGURES, day="2024-01-01", confidence=0.6)
    (confidence,) = (each for each in drift([day_before, FIGURES], [day_before]) if each.name == "Confidence")
    assert (confidence.is_new, confidence.new, confidence.earlier) == ((False, True), 0.5, 0.6)


def test_titles_of_another_model_make_a_day_new() -> None:
    (confidence, *_) = (
        each
        for each in drift([replace(FIGURES, titles_batch="of another model", confidence=0.9)], [FIGURES])
        if each.name == "Confidence"
    )
    assert (confidence.is_new, confidence.new, confidence.earlier) == ((True,), 0.9, 0.5)


def test_a_figure_that_no_day_has_is_left_out() -> None:
    assert "Unknown to the vocabulary" not in [
        each.name for each in drift([replace(FIGURES, unknown=None)], [])
    ]
