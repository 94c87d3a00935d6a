"""The article's query of 2018 beside ours: each difference in their choice is explained by a flaw of the
article.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NamedTuple

import pytest

from tests.sql.article import FLAWS, explain, learns_from, of_hours_of
from tests.sql.conftest import RealHours
from tests.sql.differences import accepted
from tests.sql.engines import Engine, Events
from tests.sql.googlesql import Row
from tests.sql.worlds import in_order
from tests.warehouse.events import opened

SIX = "one two three four five six"
QUERY = of_hours_of(2015)


def article(engine: Engine, events: Events) -> list[Row]:
    pattern, replacement = accepted(engine.name, "JSON_EXTRACT compared with text", ("", ""))
    return engine.scan(re.sub(pattern, replacement, QUERY), events)


def test_only_the_years_differ_from_the_articles_query() -> None:
    assert (
        "FROM\n    `githubarchive.day.20*`\n  WHERE\n    _TABLE_SUFFIX BETWEEN '150101' AND '151231'\n"
        in QUERY
    )


CASES: list[
    tuple[tuple[str, ...], str, str, bool, bool]
] = [  # flaws, title, body, whether the article chooses it, whether we do
    ((), "it does not start", SIX, True, True),
    ((), "it fails", SIX, False, False),
    (("quotes",), "Web ssh ", SIX, True, False),
    (
        ("quotes",),
        "it does not start",
        f"{SIX} " + "x" * 1972,
        False,
        True,
    ),  # 2,000 characters, and two quotes
    (("escapes",), "it does not start", f"{SIX} \r\r\r\r\r" + "x" * 1964, False, True),
    (("quotes", "escapes"), "it does not start", f"{SIX} \r\r\r\r\r" + "x" * 1967, False, True),
    (("torn",), r"c:\path\new fails", SIX, True, False),
    (("markup",), "runs call(now)", SIX, True, False),
    (("blanks",), "it  fails", SIX, True, False),
    (("blanks",), "it\u3000does\u3000not start", SIX, False, True),
    (("scripts",), "缓存内存泄漏", SIX, False, True),
]


@pytest.mark.parametrize(("flaws", "title", "body", "chosen_by_article", "trainable"), CASES)
def test_a_flaw_explains_a_difference(
    flaws: tuple[str, ...], title: str, body: str, chosen_by_article: bool, trainable: bool
) -> None:
    assert learns_from(title, body) == chosen_by_article
    assert learns_from(title, body, FLAWS) == trainable
    assert explain(title, body, trainable) == flaws


def test_the_engines_choose_as_the_cases_say(engine: Engine) -> None:
    events = [
        opened(number, event_id=f"{number}", html_url=f"u{number}", title=title, body=body)
        for number, (_, title, body, _, _) in enumerate(CASES)
    ]
    assert {row["url"] for row in article(engine, events)} == {
        f'"u{number}"' for number, case in enumerate(CASES) if case[3]
    }
    assert [row["trainable"] for row in engine.issues(events)] == [case[4] for case in CASES]


def test_every_flaw_has_a_case() -> None:
    assert {flaw for flaws, *_ in CASES for flaw in flaws} == set(FLAWS)


def test_a_difference_without_a_flaw_is_not_explained() -> None:
    assert explain("it does not start", SIX, trainable=False) is None
    assert explain("it fails", SIX, trainable=True) is None


def test_what_the_article_makes_of_an_issue(engine: Engine) -> None:
    events = [opened(title='"Cool" call()\r\n now', body="one\r\n\r\n*two*  `three` c:\\new four FIVE")]
    assert article(engine, events) == [
        {
            "url": '"https://github.com/a/b/issues/1"',
            "title": '"\\"cool\\" call \\r now"',
            "body": '"one\\r \\r two three c:\\ ew four five"',
        }
    ]


def test_the_article_has_an_issue_twice_that_was_opened_twice(engine: Engine) -> None:
    events = [opened(7, event_id="1"), opened(7, event_id="2", at="2015-01-03T05:00:01Z")]
    assert (len(article(engine, events)), len(engine.issues(events))) == (2, 1)


class Hour(NamedTuple):
    """Counts of one hour. Differences are counted by the fewest flaws that explain them."""

    opened: int
    trainable: int
    article: int
    only_ours: dict[tuple[str, ...], int]
    only_theirs: dict[tuple[str, ...], int]


HOURS = {
    "2015-01-01-1": Hour(218, 142, 138, {("escapes",): 1, ("scripts",): 5}, {("quotes",): 2}),
    "2015-01-01-12": Hour(
        236,
        129,
        134,
        {("escapes",): 1, ("scripts",): 4},
        {("quotes",): 4, ("markup",): 4, ("escapes",): 1, ("escapes", "markup"): 1},
    ),
}


@pytest.mark.parametrize("name", HOURS)
def test_on_a_real_hour_every_difference_is_explained(
    engine: Engine, duckdb_engine: Engine, real_hours: RealHours, name: str
) -> None:
    events = real_hours[name]
    ours = engine.issues(events)
    theirs = article(engine, events)
    chosen = {json.loads(row["url"]) for row in theirs}
    assert len(chosen) == len(theirs)  # no issue was opened twice in these hours
    only: dict[bool, Counter[Any]] = {True: Counter(), False: Counter()}
    for issue in ours:
        title, body, trainable = issue["title"], issue["body"], issue["trainable"]
        assert learns_from(title, body) == (issue["issue_url"] in chosen), (
            "the article in Python is not the article"
        )
        assert learns_from(title, body, FLAWS) == trainable, "there is a flaw that is not listed"
        if trainable != (issue["issue_url"] in chosen):
            only[trainable][explain(title, body, trainable)] += 1
    counts = Hour(
        len(ours), sum(issue["trainable"] for issue in ours), len(theirs), dict(only[True]), dict(only[False])
    )
    assert counts == HOURS[name]
    assert in_order(theirs) == in_order(article(duckdb_engine, events))
