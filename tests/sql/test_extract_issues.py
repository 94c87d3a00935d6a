"""The extraction's decisions: events in, rows out, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline import contracts
from pipeline.warehouse import Query
from pipeline.warehouse.duckdb import DuckDBWarehouse
from tests.warehouse.events import DAY, EXTRACT, THRESHOLDS, event, opened, write_hour


def rows(folder: Path, *events: dict[str, Any], query: Query = EXTRACT) -> list[dict[str, Any]]:
    table = DuckDBWarehouse("nowhere").extract(query, DAY, write_hour(folder, *events)).issues.read_all()
    assert table.schema == contracts.ISSUES.schema
    return list(table.to_pylist())


def test_an_opened_issue_is_a_row(tmp_path: Path) -> None:
    assert rows(tmp_path, opened(7, event_id="100", number=3, title="It does not START", body="one two three four five six\r\n")) == [
        {
            "issue_id": 7,
            "issue_url": "https://github.com/a/b/issues/1",
            "repo": "a/b",
            "number": 3,
            "author": "someone",
            "title": "It does not START",  # not lower-cased
            "body": "one two three four five six\r\n",  # not trimmed
            "created_at": datetime(2015, 1, 3, 5, tzinfo=UTC),
            "event_id": "100",
            "trainable": True,
        }
    ]


def test_only_opened_issues_are_rows(tmp_path: Path) -> None:
    issue = opened()["payload"]["issue"]
    events = [
        event("IssuesEvent", payload={"action": "closed", "issue": issue}),  # not an opening
        event("IssuesEvent", payload={"action": "reopened", "issue": issue}),  # a second life, not a second issue
        event("IssueCommentEvent", payload={"action": "opened", "issue": issue}),  # of another type
        event("PushEvent", payload={"commits": []}),
        opened(8, pull_request={"url": "https://api.github.com/repos/a/b/pulls/1"}),  # a pull request seen as an issue
        opened(9, pull_request=None),  # an issue that says it is none
    ]
    assert [row["issue_id"] for row in rows(tmp_path, *events)] == [9]


def test_an_issue_opened_twice_is_kept_once_as_it_was_first(tmp_path: Path) -> None:
    later = opened(7, event_id="1", at="2015-01-03T05:00:01Z", title="later")
    first = opened(7, event_id="9", at="2015-01-03T05:00:00Z", title="first")
    assert [row["title"] for row in rows(tmp_path, later, first)] == ["first"]


def test_of_two_openings_in_one_second_the_smaller_event_number_wins(tmp_path: Path) -> None:
    assert [row["title"] for row in rows(tmp_path, opened(7, event_id="100", title="100"), opened(7, event_id="99", title="99"))] == ["99"]


def test_an_address_used_again_is_another_issue(tmp_path: Path) -> None:
    assert [row["issue_id"] for row in rows(tmp_path, opened(7), opened(8))] == [7, 8]


def test_rows_come_by_time_and_number(tmp_path: Path) -> None:
    events = [opened(3), opened(2), opened(9, at="2015-01-03T04:00:00Z")]
    assert [row["issue_id"] for row in rows(tmp_path, *events)] == [9, 2, 3]


@pytest.mark.parametrize(
    ("title", "body", "trainable"),
    [
        ("one two three", "one two three four five six", True),
        ("one two", "one two three four five six", False),  # two words of three
        ("one two three", "one two three four five", False),  # five words of six
        ("one two three", None, False),  # nothing to learn from
        ("one two three", "", False),
        ('"one" \\n three', "one two three four five six", True),  # quotes and backslashes are no words of their own
        ("one\u00a0two\u3000three", "one\ttwo\r\nthree\vfour\u2028five\u0085six", True),  # Unicode white space
        ("one\u200btwo\u200bthree", "one two three four five six", False),  # a zero width space is none
        ("a b " + "c" * 396, "one two three four five six", True),  # 400 characters
        ("a b " + "c" * 397, "one two three four five six", False),
        ("a b " + "\U0001f600" * 396, "one two three four five six", True),  # characters, not bytes
        ("one two three", "a b c d e " + "f" * 1990, True),  # 2,000 characters
        ("one two three", "a b c d e " + "f" * 1991, False),
    ],
)
def test_trainable_is_long_and_short_enough(tmp_path: Path, title: str, body: str | None, trainable: bool) -> None:
    row = rows(tmp_path, opened(title=title, body=body))[0]
    assert (row["title"], row["body"], row["trainable"]) == (title, body, trainable)


def test_the_thresholds_are_parameters(tmp_path: Path) -> None:
    lax = Query.from_file("extract_issues", **{**THRESHOLDS, "min_body_words": 1, "min_title_words": 1})
    assert [row["trainable"] for row in rows(tmp_path, opened(title="short", body="short"), query=lax)] == [True]
