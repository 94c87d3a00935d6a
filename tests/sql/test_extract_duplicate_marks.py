"""Which comments may mark a duplicate: events in, rows out. Each case holds in the three engines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from tests.sql.engines import Engine, Events
from tests.sql.googlesql import Row
from tests.warehouse.events import commented, opened

SIX = datetime(2015, 1, 3, 6, tzinfo=UTC)


def comment(body: str = "Duplicate of #12", **values: Any) -> Row:
    """The row of `commented(body)`."""
    row = {
        "event_id": "200", "comment_url": "https://github.com/o/r/issues/34#issuecomment-1", "issue_id": 7,
        "issue_url": "https://github.com/o/r/issues/34", "repo": "o/r", "number": 34, "author": "someone",
        "said_by": "other", "created_at": SIX, "body": body,
    }  # fmt: skip
    return {**row, **values}


class Case(NamedTuple):
    case: str
    events: Events
    rows: list[Row]


def said_by(case: str, expected: str | None, **values: Any) -> Case:
    """A comment of an account, and the value of the column said_by."""
    author = (values.get("user") or {}).get("login", "someone" if "user" not in values else None)
    return Case(case, [commented("dup #12", **values)], [comment("dup #12", said_by=expected, author=author)])


CASES = [
    Case("a comment that names a duplicate", [commented("Duplicate of #12")], [comment()]),
    Case("an opened issue is no comment", [opened(title="duplicate of #12", body="duplicate of #12")], []),
    Case("without the word", [commented("See #12")], []),
    Case("without a reference", [commented("This is a duplicate.")], []),
    Case("in capitals, and an address", [commented("DUPE: HTTPS://GITHUB.COM/O/R/ISSUES/12")],
         [comment("DUPE: HTTPS://GITHUB.COM/O/R/ISSUES/12")]),
    Case("in Russian", [commented("Дубликат #12")], [comment("Дубликат #12")]),
    Case("in Chinese", [commented("重复 #12")], [comment("重复 #12")]),
    Case("an issue without a sign", [commented("duplicate of Issue no. 12")],
         [comment("duplicate of Issue no. 12")]),
    Case("also a comment that is none: its text is read later", [commented("Not a duplicate of #12")],
         [comment("Not a duplicate of #12")]),
    Case("an edited comment is not counted again", [commented("Duplicate of #12", action="edited")], []),
    Case("a comment on a pull request",
         [commented("Duplicate of #12", issue={"pull_request": {"url": "https://api.github.com/x"}})], []),
    Case("an issue that says it is no pull request",
         [commented("Duplicate of #12", issue={"pull_request": None})],
         [comment()]),
    Case("an event that was recorded twice", [commented("Duplicate of #12"), commented("Duplicate of #12")],
         [comment()]),
    Case("by time, then by event", [
        commented("dup #3", event_id="203"), commented("dup #2", event_id="202"),
        commented("dup #1", event_id="204", at="2015-01-03T05:00:00Z"),
    ], [
        comment("dup #1", event_id="204", created_at=datetime(2015, 1, 3, 5, tzinfo=UTC)),
        comment("dup #2", event_id="202"), comment("dup #3", event_id="203"),
    ]),
    Case("missing values are NULL",
         [commented("dup #12", repo=None, html_url=None,
                    issue={"id": None, "number": "34", "html_url": None})],
         [comment("dup #12", repo=None, comment_url=None, issue_id=None, number=None, issue_url=None)]),
    Case("a comment of null", [commented(None)], []),
    said_by("a member", "member", author_association="MEMBER"),
    said_by("the owner", "member", author_association="OWNER"),
    said_by("a collaborator", "member", author_association="COLLABORATOR"),
    said_by("a contributor is no member", "other", author_association="CONTRIBUTOR"),
    said_by("without author_association", None, author_association=None),
    said_by("whoever opened the issue", "author", user={"login": "opener"}, author_association=None),
    said_by("a member who opened the issue", "author", user={"login": "opener"}, author_association="MEMBER"),
    said_by("an app", "bot", user={"login": "triage[bot]", "type": "Bot"}, author_association="MEMBER"),
    said_by("an app without a type", "bot", user={"login": "triage[bot]"}),
    said_by("an account that is named as a bot", "bot", user={"login": "k8s-ci-robot", "type": "User"}),
    said_by("a name that only ends like one", "other", user={"login": "abbot", "type": "User"}),
    said_by("a deleted account", "other", user=None),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.case for case in CASES])
def test_which_comments_may_mark_a_duplicate(engine: Engine, case: Case) -> None:
    assert engine.comments(case.events) == case.rows
