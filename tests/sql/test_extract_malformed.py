"""Events that open an issue but lack what issues_v1 requires: events in, reasons out.

Each test holds in the three engines. An opened event is in exactly one of the two extractions.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sql.differences import accepted
from tests.sql.engines import Engine
from tests.sql.googlesql import Row
from tests.warehouse.events import event, opened

ISSUE = opened()["payload"]["issue"]
NO_ID = "opened issue: issue.id is not a whole number"
NO_NUMBER = "opened issue: issue.number is not a whole number"
NO_URL = "opened issue: issue.html_url is missing"
NO_TITLE = "opened issue: issue.title is missing"

CASES: list[
    tuple[str, dict[str, Any], str | None]
] = [  # case, event, reason; None where the event is not malformed
    ("whole", opened(1), None),
    ("without a body", opened(2, body=None), None),
    ("with an empty title", opened(3, title=""), None),
    ("without an author", {**opened(4), "actor": None}, None),
    ("an id of null", opened(None), NO_ID),
    ("an id as text", opened("7"), NO_ID),
    ("a fraction as id", opened(7.5), NO_ID),
    ("an id with an exponent", opened(1e30), NO_ID),
    ("an id beyond 64 bits", opened(2**63), NO_ID),
    ("an object as id", opened({"id": 7}), NO_ID),
    ("a number of null", opened(5, number=None), NO_NUMBER),
    ("a number as text", opened(6, number="1"), NO_NUMBER),
    ("an address of null", opened(7, html_url=None), NO_URL),
    ("an object as address", opened(8, html_url={}), NO_URL),
    ("a title of null", opened(9, title=None), NO_TITLE),
    ("a list as title", opened(10, title=["a"]), NO_TITLE),
    ("no issue at all", event("IssuesEvent", payload={"action": "opened"}), NO_ID),
    ("text as issue", event("IssuesEvent", payload={"action": "opened", "issue": "7"}), NO_ID),
    ("a repository without a name", opened(11, repo=None), "opened issue: repo.name is missing"),
    ("no repository", {**opened(12), "repo": None}, "opened issue: repo.name is missing"),
    ("a number as address", opened(14, html_url=5), "opened issue: issue.html_url is not text"),
    ("a number as title", opened(15, title=5), "opened issue: issue.title is not text"),
    ("true as title", opened(16, title=True), "opened issue: issue.title is not text"),
    ("a number as body", opened(17, body=5), "opened issue: issue.body is not text"),
    ("a list as body", opened(18, body=["a"]), "opened issue: issue.body is not text"),
    (
        "a number as issue",
        event("IssuesEvent", payload={"action": "opened", "issue": 7}),
        "opened issue: issue is a number, as in events from before 2015",
    ),
    ("several faults: the first is named", opened(None, title=None, html_url=None), NO_ID),
    ("a pull request without a title", opened(13, title=None, pull_request={"url": "u"}), None),
    (
        "closed without a title",
        event("IssuesEvent", payload={"action": "closed", "issue": {**ISSUE, "title": None}}),
        None,
    ),
    ("of another type", event("IssueCommentEvent", payload={"action": "opened"}), None),
]
OPENED_WHOLE = {"whole", "without a body", "with an empty title", "without an author"}
EVENTS = [{**event, "id": f"{number:03}"} for number, (_, event, _) in enumerate(CASES)]


def test_each_event_has_its_reason_once_and_its_payload(engine: Engine) -> None:
    expected = [
        {"event_id": event["id"], "reason": expected_reason, "payload": event["payload"]}
        for event, (case, _, reason) in zip(EVENTS, CASES, strict=True)
        if (expected_reason := accepted(engine.name, case, reason))
    ]
    rows = engine.malformed(EVENTS)
    assert [
        {"event_id": row["event_id"], "reason": row["reason"], "payload": json.loads(row["text"])}
        for row in rows
    ] == expected


def test_the_others_are_issues(engine: Engine) -> None:
    ids = {f"{number:03}" for number, (case, _, _) in enumerate(CASES) if case in OPENED_WHOLE}
    assert {row["event_id"] for row in engine.issues(EVENTS)} == ids


@pytest.mark.parametrize(
    ("case", "events", "rows"),
    [
        (
            "an event without an id",
            [{**opened(7), "id": None}],
            [
                {
                    "event_id": None,
                    "reason": "opened issue: the event has no id",
                    "text": json.dumps(opened(7)["payload"]),
                }
            ],
        ),
        (
            "an event without a time",
            [{**opened(7), "created_at": None}],
            [
                {
                    "event_id": "100",
                    "reason": "opened issue: the event has no created_at",
                    "text": json.dumps(opened(7)["payload"]),
                }
            ],
        ),
        *(
            (
                f"an event of {year}",
                [opened(7, at=at)],
                [
                    {
                        "event_id": "100",
                        "reason": "opened issue: created_at is not between 1970 and 2262",
                        "text": json.dumps(opened(7)["payload"]),
                    }
                ],
            )
            for year, at in ((1970, "1970-01-01T00:00:00Z"), (2262, "2262-01-01T00:00:00Z"))
        ),
    ],
)
def test_a_line_without_id_or_a_plausible_time(
    engine: Engine, case: str, events: list[dict[str, Any]], rows: list[Row]
) -> None:
    assert engine.malformed(events) == accepted(engine.name, case, rows)
