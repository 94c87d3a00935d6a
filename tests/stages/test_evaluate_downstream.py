"""Which issues answer which question, and how they are split: literal rows in."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from pipeline.evaluation.downstream_tasks import Features
from pipeline.predictor.predictor import Predictor
from pipeline.source.issue_files import FileIssue
from pipeline.stages.evaluate_downstream import (
    TASKS,
    days_open,
    features_of,
    figures_of,
    is_bug,
    is_useless,
    split,
)
from tests.predictor.test_predictor import OF_UNITS, Copying, made

BUG, USELESS, DAYS = TASKS


def issue(**more: Any) -> FileIssue:
    return FileIssue("t", "b", "a.csv, row 1", more)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["bug"], 1),
        (["C-bug", "P-high"], 1),
        ([{"name": "kind/regression"}], 1),
        ("🐞 Bug; stale", 1),
        ('["type: defect"]', 1),
        ("['a', 'bugs']", 1),
        (["enhancement"], 0),
        (["debug", "not a bug"], 0),
        ([], None),
        ("", None),
        ("[]", None),
        (None, None),
    ],
)
def test_a_bug_by_its_labels(labels: Any, expected: float | None) -> None:
    assert is_bug(issue(labels=labels)) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"labels": ["question"], "state": "closed"}, 1),
        ({"labels": ["ty:question"]}, 1),
        ({"labels": ["invalid/unrelated"], "closed_at": "2015-01-02"}, 1),
        ({"labels": ["wontfix", "duplicate"], "state": "CLOSED"}, 0),
        ({"labels": ["question"], "state": "open"}, None),
        ({"labels": ["spam"], "closed_at": ""}, None),
        ({"labels": [], "state": "closed"}, None),
    ],
)
def test_useless_is_what_was_closed_as_invalid_spam_or_a_question(
    more: dict[str, Any], expected: float | None
) -> None:
    assert is_useless(issue(**more)) == expected


@pytest.mark.parametrize(
    ("created", "closed", "expected"),
    [
        ("2015-01-01T00:00:00Z", "2015-01-02T12:00:00+00:00", 1.5),
        ("2015-01-01", "2015-01-01", 0),
        ("2015-01-01", None, None),
        ("2015-01-02", "2015-01-01", None),
        ("", "2015-01-01", None),
    ],
)
def test_days_open(created: str, closed: str | None, expected: float | None) -> None:
    assert days_open(issue(created_at=created, closed_at=closed)) == expected


def test_repositories_split_where_there_are_several_and_else_the_latest_are_for_testing() -> None:
    several = [issue(repo=f"o/r{n % 10}", created_at=f"2015-01-{n + 1:02d}") for n in range(20)]
    how, test, _ = split(several, lambda test: "")
    assert (how, sorted({row.repo for row, testing in zip(several, test, strict=True) if testing})) == (
        "repository",
        ["o/r1", "o/r5"],
    )
    one = [issue(repo="o/r", created_at=f"2015-01-{n + 1:02d}") for n in (3, 1, 4, 0, 2)]
    how, test, _ = split(one, lambda test: "")
    assert (how, test.tolist()) == ("time", [False, False, True, False, False])


def test_what_cannot_be_split_says_why() -> None:
    assert split([issue(), issue()], lambda test: "")[2] == "neither repositories nor dates to split them by"
    dated = [issue(repo=f"o/r{n}", created_at="2015-01-01") for n in range(4)]
    assert split(dated, lambda test: "too few")[2] == "by repository too few; by time too few"


def figures(task: Any, issues: list[FileIssue]) -> dict[str, Any]:
    return figures_of(
        task, issues, Features(np.zeros((len(issues), 2), dtype=np.float32), [[]] * len(issues))
    )


@pytest.mark.parametrize(
    ("task", "issues", "why"),
    [
        (BUG, [issue()] * 60, "0 issues tell labels, at least 50 are needed"),
        (
            DAYS,
            [issue(created_at="2015-01-01")] * 60,
            "0 issues tell created_at and closed_at, at least 50 are needed",
        ),
        (BUG, [issue(labels=["bug"])] * 60, "all of 60 labelled issues are"),
        (USELESS, [issue(labels=["bug"])] * 60, "none of 60 labelled issues are"),
        (
            BUG,
            [issue(labels=["bug"]), issue(labels=["x"])] * 30,
            "neither repositories nor dates to split them by",
        ),
    ],
)
def test_a_question_that_the_file_does_not_answer_is_skipped_with_the_reason(
    task: Any, issues: list[FileIssue], why: str
) -> None:
    assert figures(task, issues)["skipped"] == why


def test_the_keys_are_the_same_whether_a_question_is_answered_or_not() -> None:
    rows = [issue(labels=["bug" if n % 2 else "x"], created_at="2015-01-01", repo="o/r") for n in range(60)]
    answered, skipped = figures(BUG, rows), figures(BUG, [])
    assert (answered["skipped"], answered["split"], answered["positives_test"]) == ("", "time", 6)
    assert list(answered) == list(skipped)
    assert [list(answered[way]) for way in ("embedding", "bag_of_words", "majority")] == [
        list(skipped["embedding"])
    ] * 3


def test_the_bag_of_words_is_of_the_text_that_the_embedding_reads() -> None:
    issues = [FileIssue("The window", "the crash")]
    both = features_of(Predictor("m", cast(Any, Copying()), OF_UNITS, "titler", 0.0, 16), issues)
    assert (both.embeddings.tolist(), both.tokens) == ([[6.0]], [["the", "window", "the", "crash"]])
    words = made()
    body = features_of(words, issues)
    assert body.tokens == [["the", "crash"]]
    assert body.embeddings.tolist() == words.embed_vectors(words.vectors(["the crash"])).tolist()
