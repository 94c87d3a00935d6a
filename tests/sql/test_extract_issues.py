"""The decisions of the extraction: events in, rows out, and why. Each holds in the three engines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from pipeline.warehouse import Query
from tests.sql.differences import accepted
from tests.sql.engines import Engine, Events
from tests.sql.googlesql import Row
from tests.warehouse.events import EXTRACT, THRESHOLDS, event, opened

FIVE = datetime(2015, 1, 3, 5, tzinfo=UTC)
LAX = Query.from_file("extract_issues", **{**THRESHOLDS, "min_body_words": 1, "min_title_words": 1})
ISSUE = opened()["payload"]["issue"]
SIX = "one two three four five six"


def issue(issue_id: int = 7, **values: Any) -> Row:
    """The row of `opened(issue_id)`."""
    row = {
        "issue_id": issue_id, "issue_url": "https://github.com/a/b/issues/1", "repo": "a/b", "number": 1,
        "author": "someone",
        "title": "it does not start", "body": SIX, "created_at": FIVE, "event_id": "100", "trainable": True,
        "author_association": None,
    }  # fmt: skip
    return {**row, **values}


def unescaped(event: dict[str, Any]) -> bytes:
    """An event's line with unescaped characters: JSON writers differ in what they escape."""
    return json.dumps(event, ensure_ascii=False).encode()


class Case(NamedTuple):
    case: str
    events: Events
    rows: list[Row]
    query: Query = EXTRACT


CASES = [
    Case(
        "an opened issue is a row, as its author wrote it: not lower-cased, not trimmed",
        [
            opened(
                7, event_id="100", number=3, title="It does not START", body="one two three four five six\r\n"
            )
        ],
        [
            {
                "issue_id": 7,
                "issue_url": "https://github.com/a/b/issues/1",
                "repo": "a/b",
                "number": 3,
                "author": "someone",
                "title": "It does not START",
                "body": "one two three four five six\r\n",
                "created_at": datetime(2015, 1, 3, 5, tzinfo=UTC),
                "event_id": "100",
                "trainable": True,
                "author_association": None,
            }
        ],
    ),
    Case(
        "the author's part in the repository is kept as GitHub calls it",
        [opened(7, author_association="MEMBER"), opened(8, event_id="101", author_association=None)],
        [issue(7, author_association="MEMBER"), issue(8, event_id="101")],
    ),
    Case("no events, no rows", [event("PushEvent")], []),
    Case("closing is not opening", [event("IssuesEvent", payload={"action": "closed", "issue": ISSUE})], []),
    Case(
        "a second life is not a second issue",
        [event("IssuesEvent", payload={"action": "reopened", "issue": ISSUE})],
        [],
    ),
    Case(
        "an event of another type opens no issue",
        [event("IssueCommentEvent", payload={"action": "opened", "issue": ISSUE})],
        [],
    ),
    Case(
        "an event without an issue is passed over",
        [event("PushEvent", payload={"commits": []}), opened(9)],
        [issue(9)],
    ),
    Case(
        "a pull request seen as an issue is none",
        [opened(8, pull_request={"url": "https://api.github.com/repos/a/b/pulls/1"})],
        [],
    ),
    Case("an issue that says it is no pull request is one", [opened(9, pull_request=None)], [issue(9)]),
    Case(
        "an issue opened twice is kept once, as it was first",
        [
            opened(7, event_id="1", at="2015-01-03T05:00:01Z", title="it was later"),
            opened(7, event_id="9", at="2015-01-03T05:00:00Z", title="it was first"),
        ],
        [issue(7, event_id="9", title="it was first")],
    ),
    Case(
        "of two openings in one second the smaller event number wins",
        [
            opened(7, event_id="100", title="one and zero zero"),
            opened(7, event_id="99", title="nine and nine"),
        ],
        [issue(7, event_id="99", title="nine and nine")],
    ),
    Case("an address used again is another issue", [opened(7), opened(8)], [issue(7), issue(8)]),
    Case(
        "rows come by time, then by number",
        [opened(3), opened(2), opened(9, at="2015-01-03T04:00:00Z")],
        [issue(9, created_at=datetime(2015, 1, 3, 4, tzinfo=UTC)), issue(2), issue(3)],
    ),
    Case(
        "a title that looks like a number is text",
        [opened(title="404")],
        [issue(title="404", trainable=False)],
    ),
    Case("an issue with a number where the title should be is malformed", [opened(title=1.50)], []),
    Case("an issue may have no author", [{**opened(), "actor": None}], [issue(author=None)]),
    Case("a number as text is no number", [opened(number="1")], []),
    Case("a fraction is no number", [opened(7.5)], []),
    Case("an issue without a title is malformed", [opened(title=None), opened(8)], [issue(8)]),
    Case("numbers beyond 32 bits", [opened(2**53 + 1, number=2**40)], [issue(2**53 + 1, number=2**40)]),
    Case(
        "quotes, backslashes, control characters and markup stay",
        [opened(title='"a" \\n \t(b) [c]', body='`d`\u0001 "\\"\r\n\u007f # * e f g')],
        [issue(title='"a" \\n \t(b) [c]', body='`d`\u0001 "\\"\r\n\u007f # * e f g')],
    ),
    Case(
        "characters beyond ASCII",
        [
            unescaped(opened(7, title="es läuft \U0001f600 nicht")),
            unescaped(opened(8, title="もし もし \U00020000")),
        ],
        [issue(7, title="es läuft \U0001f600 nicht"), issue(8, title="もし もし \U00020000")],
    ),
    Case(
        "text without blanks has words of two characters, in Thai of four",
        [
            unescaped(opened(7, title="打开设置页面", body="点击设置,页面没有反应。")),
            unescaped(opened(8, title="登录失败", body="点击设置,页面没有反应。")),
            unescaped(opened(9, title="เปิดไฟล์ไม่ได้", body="点击设置,页面没有")),
            unescaped(opened(10, title="เปิดไฟล์ไม่ได้", body="使用VSCode打开文件时程序崩溃了")),
        ],
        [
            issue(7, title="打开设置页面", body="点击设置,页面没有反应。", trainable=False),
            issue(8, title="登录失败", body="点击设置,页面没有反应。", trainable=False),
            issue(9, title="เปิดไฟล์ไม่ได้", body="点击设置,页面没有", trainable=False),
            issue(10, title="เปิดไฟล์ไม่ได้", body="使用VSCode打开文件时程序崩溃了"),
        ],
    ),
    Case("escaped characters", [opened(title="es läuft もし nicht")], [issue(title="es läuft もし nicht")]),
    Case(
        "escaped pairs of surrogates",
        [opened(title="it \U0001f600 starts")],
        [issue(title="it \U0001f600 starts")],
    ),
    Case(
        "the character of number zero", [opened(title="one two \0 three")], [issue(title="one two \0 three")]
    ),
    Case(
        "of a name that is there twice in an object the first counts",
        [unescaped(opened()).replace(b'"title": "it', b'"title": "it does start", "title": "it')],
        [issue(title="it does start")],
    ),
    Case(
        "white space in JSON is nothing",
        [json.dumps(opened(), indent=1).replace("\n", "\t").encode()],
        [issue()],
    ),
    Case(
        "the thresholds are parameters",
        [opened(title="short", body="short")],
        [issue(title="short", body="short")],
        LAX,
    ),
]

TRAINABLE: list[tuple[str, str, str | None, bool]] = [
    ("three words and six", "one two three", SIX, True),
    ("two words of three", "one two", SIX, False),
    ("five words of six", "one two three", "one two three four five", False),
    ("nothing to learn from", "one two three", None, False),
    ("an empty body", "one two three", "", False),
    ("quotes and backslashes are no words of their own", '"one" \\n three', SIX, True),
    ("Unicode white space", "one\u00a0two\u3000three", "one\ttwo\r\nthree\vfour\u2028five\u0085six", True),
    ("a zero width space is none", "one\u200btwo\u200bthree", SIX, False),
    ("400 characters", "a b " + "c" * 396, SIX, True),
    ("401 characters", "a b " + "c" * 397, SIX, False),
    ("characters, not bytes", "a b " + "\U0001f600" * 396, SIX, True),
    ("2,000 characters", "one two three", "a b c d e " + "f" * 1990, True),
    ("2,001 characters", "one two three", "a b c d e " + "f" * 1991, False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_the_extraction(engine: Engine, case: Case) -> None:
    assert engine.issues(case.events, case.query) == accepted(engine.name, case.case, case.rows)


def test_trainable_is_long_and_short_enough(engine: Engine) -> None:
    events = [
        unescaped(opened(number, title=title, body=body))
        for number, (_, title, body, _) in enumerate(TRAINABLE)
    ]
    rows = engine.issues(events)
    for number, ((case, title, body, trainable), row) in enumerate(zip(TRAINABLE, rows, strict=True)):
        assert row == accepted(
            engine.name, case, issue(number, title=title, body=body, trainable=trainable)
        ), case
