"""evaluate --downstream: which issues have a label for a task, and how they are split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.evaluation.downstream_tasks import Features
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
from tests.predictor.small_predictors import subword_predictor, word_predictor

BUG, USELESS, DAYS = TASKS


def issue(**columns: Any) -> FileIssue:
    return FileIssue("t", "b", "a.csv, row 1", columns)


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
def test_an_issue_is_a_bug_by_its_labels(labels: Any, expected: float | None) -> None:
    assert is_bug(issue(labels=labels)) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
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
def test_an_issue_is_useless_if_it_was_closed_as_invalid_spam_or_a_question(
    columns: dict[str, Any], expected: float | None
) -> None:
    assert is_useless(issue(**columns)) == expected


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


def test_issues_are_split_by_repository_or_if_there_is_only_one_by_time() -> None:
    several = [issue(repo=f"o/r{n % 10}", created_at=f"2015-01-{n + 1:02d}") for n in range(20)]
    kind, test, _ = split(several, lambda test: "")
    assert (kind, sorted({row.repo for row, testing in zip(several, test, strict=True) if testing})) == (
        "repository",
        ["o/r1", "o/r5"],
    )
    one = [issue(repo="o/r", created_at=f"2015-01-{n + 1:02d}") for n in (3, 1, 4, 0, 2)]
    kind, test, _ = split(one, lambda test: "")
    assert (kind, test.tolist()) == ("time", [False, False, True, False, False])


def test_issues_that_cannot_be_split_have_a_reason() -> None:
    assert (
        split([issue(), issue()], lambda test: "")[2]
        == "the issues have neither repositories nor dates by which they could be split"
    )
    dated = [issue(repo=f"o/r{n}", created_at="2015-01-01") for n in range(4)]
    assert split(dated, lambda test: "too few")[2] == "by repository too few; by time too few"


def figures(task: Any, issues: list[FileIssue]) -> dict[str, Any]:
    return figures_of(
        task, issues, Features(np.zeros((len(issues), 2), dtype=np.float32), [[]] * len(issues))
    )


@pytest.mark.parametrize(
    ("task", "issues", "reason"),
    [
        (BUG, [issue()] * 60, "0 issues have labels, at least 50 are needed"),
        (
            DAYS,
            [issue(created_at="2015-01-01")] * 60,
            "0 issues have created_at and closed_at, at least 50 are needed",
        ),
        (BUG, [issue(labels=["bug"])] * 60, "all of 60 labelled issues are positive"),
        (USELESS, [issue(labels=["bug"])] * 60, "none of 60 labelled issues are positive"),
        (
            BUG,
            [issue(labels=["bug"]), issue(labels=["x"])] * 30,
            "the issues have neither repositories nor dates by which they could be split",
        ),
    ],
)
def test_a_task_without_enough_labels_is_skipped_with_the_reason(
    task: Any, issues: list[FileIssue], reason: str
) -> None:
    assert figures(task, issues)["skipped"] == reason


def test_a_skipped_task_has_the_same_keys() -> None:
    rows = [issue(labels=["bug" if n % 2 else "x"], created_at="2015-01-01", repo="o/r") for n in range(60)]
    scored, skipped = figures(BUG, rows), figures(BUG, [])
    assert (scored["skipped"], scored["split"], scored["positives_test"]) == ("", "time", 6)
    assert list(scored) == list(skipped)
    for features in ("embedding", "bag_of_words", "majority"):
        assert list(scored[features]) == list(skipped["embedding"])


def test_the_bag_of_words_is_of_the_same_text_as_the_embedding() -> None:
    issues = [FileIssue("The window", "the crash")]
    both = features_of(subword_predictor(), issues)
    assert (both.embeddings.tolist(), both.tokens) == ([[6.0]], [["the", "window", "the", "crash"]])
    words = word_predictor()
    body = features_of(words, issues)
    assert body.tokens == [["the", "crash"]]
    assert body.embeddings.tolist() == words.embed_vectors(words.vectors(["the crash"])).tolist()
