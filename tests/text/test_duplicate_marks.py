"""Which issue a comment calls a duplicate of: made-up comments in, references out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.text.duplicate_marks import MAX_REFERENCES, IssueReference, find_mark
from tests.sql.engines import DuckDB
from tests.warehouse.events import commented

REPO, NUMBER = "o/r", 34

MARKS = [
    # plain
    "Duplicate of #12.",
    "duplicate of #12",
    "Dup of #12",
    "dupe of #12",
    "dup #12",
    "Duplicate: #12",
    "closes as duplicate: #12",
    "/duplicate #12",
    "Duplicate -> #12",
    "This is a duplicate of #12, thanks for the report!",
    "I think this duplicates #12",
    "This is duplicated by mistake? No: it duplicates #12.",
    "These are duplicates of #12.",
    "Closing as a dupe of #12",
    "I'll mark this as a duplicate of #12 for now.",
    "This has been marked as duplicate of #12",
    "It can be closed as a duplicate of #12",
    "Looks like a duplicate of o/r#12.",
    "Seems to be a dup of #12",
    "Probably a dup of #12",
    "NOTE: I have just seen that this issue is a duplicate of #12 and will close it.",
    "Thanks! Duplicate of issue 12",
    "Duplicate of existing issue #12",
    "This is a duplicate of the same bug in #12",
    "Duplicate of GH-12",
    "duplicate of #12 and #2",
    "As said in #11, this is a duplicate of #12",
    "This is not a bug, it's a duplicate of #12",
    "I could not reproduce it, but it is a duplicate of #12",
    "Duplicate of #12. Can you check whether that fix helps?",
    # the reference in another clause or sentence
    "Duplicate. See #12",
    "Closing as duplicate, see #12",
    "This is a duplicate, already reported in #12.",
    "Closing this as a duplicate in favor of #12",
    "Same as https://github.com/o/r/issues/12, closing as duplicate.",
    "This was already reported in #12. Closing as duplicate.",
    "See #12, so this is a duplicate",
    # addresses and Markdown
    "Duplicate of https://github.com/o/r/issues/12",
    "Duplicate of https://github.com/o/r/issues/12#issuecomment-1",
    "Duplicate of https://github.com/O/R/issues/12?x=1.",
    "Duplicate of <https://github.com/o/r/issues/12>",
    "Duplicate of github.com/o/r/issues/12/",
    "**Duplicate of #12**",
    "_Duplicate of_ [#12](https://github.com/o/r/issues/12)",
    "[Duplicate of #12](https://github.com/o/r/issues/12)",
    "[Duplicate](https://github.com/o/r/issues/12)",
    "Duplicate of [this issue](https://github.com/o/r/issues/12)",
    "[Duplicate](https://docs.example.org/duplicates) of #12",
    "- Duplicate of #12",
    "Duplicate of:\n\n- #12",
    "This is a duplicate\nof #12",
    "It does not work for me.\nDuplicate of #12",
    # below quotes and code
    "> Is it broken?\n\nDuplicate of #12",
    "> Is it broken?\nduplicate of #12",
    "On Monday, somebody wrote:\n> it is broken\n\nDuplicate of #12\n\n> regards",
    "```\nthe log\n```\nDuplicate of #12",
    "Here is the `log`. Duplicate of #12",
    # other languages
    "Duplicado de #12",
    "Doublon de #12",
    "Duplikat von #12",
    "Duplicato di #12",
    "Дубликат #12",
    "重复 #12",
    "与 #12 重复",
    "#12 の重複です",
    "#12와 중복",
    "与#12重复",
    "#12の重複です",
]
NO_MARKS = [
    # mere mentions
    "See also #12.",
    "This was fixed by #12, I think.",
    "Same as #12?",
    "The duplicate symbol is gone since #12",
    "I get a duplicate key error, as in #12",
    "dup2(12) fails since #12",
    "Deduplicate, see #12",
    "a non-duplicate #12",
    "Please search for duplicates before you report, as in #12",
    "This and other duplicate entries were fixed in #12",
    "Duplicate of this one.",
    "duplicate of #0",
    "duplicate of #12abc",
    "duplicate of v#12",
    "duplicate of &#12;",
    # negated
    "Not a duplicate of #12: that one is about parsing.",
    "isn't a dup of #12",
    "This isnt a dup of #12",
    "I don't think this is a duplicate of #12",
    "I'm not sure this is a duplicate of #12",
    "This is no duplicate of #12",
    "This was never a duplicate of #12",
    "This is not a\nduplicate of #12",
    "It looks like a duplicate of #12, but it is not.",
    "Marked as duplicate of #12 by mistake",
    "No es duplicado de #12",
    "Kein Duplikat von #12",
    "Ce n'est pas un doublon de #12",
    "не дубликат #12",
    "不是 #12 的重复",
    # asked, possible, conditional
    "possible duplicate of #12?",
    "Possible duplicate of #12",
    "Duplicate of #12?",
    "Is this a duplicate of #12",
    "Is this a duplicate? See #12",
    "Could this be a duplicate of #12",
    "This might be a duplicate of #12",
    "It might duplicate #12.",
    "Maybe a dup of #12",
    "I wonder whether this is a duplicate of #12.",
    "If this is a duplicate of #12, please close it.",
    "This is half a duplicate of #12",
    "Posible duplicado de #12",
    "Potential duplicates:\n- #12\n- #13",
    # of another issue
    "#12 is a duplicate of this",
    "#11 is a duplicate of #12",
    "Fixes #11 (duplicate of #12)",
    "#11 was closed because it is a duplicate of #12",
    "See the other reports, which were marked as duplicates of #12",
    "They were marked as duplicate of #12",
    "That issue is a duplicate of #12",
    "closing #12 as a duplicate of this",
    "Closing #12 as a duplicate",
    "#12, closing as duplicate of this",
    "It has a duplicate: #12",
    "Duplicates: #12, #13",
    "See #11 (and the duplicates #12 and #13).",
    "It would save us from further duplicates of #12",
    # of itself, or of a pull request
    "Duplicate of #34",
    "Duplicate of O/R#34",
    "Duplicate of https://github.com/o/r/issues/34",
    "Duplicate of https://github.com/o/r/pull/12",
    # not the author's own words
    "> Duplicate of #12\n\nThanks!",
    "  > Duplicate of #12",
    "```\nDuplicate of #12\n```",
    "~~~text\nDuplicate of #12\n~~~",
    "````\n```\nDuplicate of #12\n````",
    "```\nDuplicate of #12",
    "    Duplicate of #12",
    "`duplicate of #12`",
    "``duplicate of #12``",
    "~~Duplicate of #12~~",
    "<del>Duplicate of #12</del>",
    "<!-- Duplicate of #12 -->",
    "<pre>\nDuplicate of #12\n</pre>",
    "<blockquote>Duplicate of #12</blockquote>",
    "",
]


@pytest.mark.parametrize("comment", MARKS)
def test_a_comment_that_calls_an_issue_a_duplicate(comment: str) -> None:
    assert find_mark(comment, REPO, NUMBER) == IssueReference("o/r", 12)


@pytest.mark.parametrize("comment", NO_MARKS)
def test_a_comment_that_does_not(comment: str) -> None:
    assert find_mark(comment, REPO, NUMBER) is None


@pytest.mark.parametrize(
    ("comment", "reference"),
    [
        ("Duplicate of other/repo.js#5", ("other/repo.js", 5)),
        ("Duplicate of https://github.com/Other/repo/issues/5", ("Other/repo", 5)),
        ("Duplicate of [#5](https://github.com/other/repo/issues/5)", ("other/repo", 5)),
        ("Duplicate of other/repo#34", ("other/repo", 34)),  # the same number, but of another repository
        ("Duplicate of #99", ("o/r", 99)),  # a newer issue
        ("Not a duplicate of #11. Duplicate of #12.", ("o/r", 12)),
        ("Duplicate of #1 and #2", ("o/r", 1)),
        ("Duplicate of #1\nDuplicate of #2", ("o/r", 1)),
    ],
)
def test_which_issue_is_marked(comment: str, reference: tuple[str, int]) -> None:
    assert find_mark(comment, REPO, NUMBER) == reference


def test_the_query_finds_every_comment_that_is_a_mark(tmp_path: Path) -> None:
    events = [commented(comment, event_id=f"{number:03}") for number, comment in enumerate(MARKS)]
    assert [row["body"] for row in DuckDB(tmp_path).comments(events)] == MARKS


def test_only_the_first_references_of_a_comment_count() -> None:
    assert find_mark("#1 " * (MAX_REFERENCES - 1) + "\nDuplicate of #12", REPO, NUMBER) == (REPO, 12)
    assert find_mark("#1 " * MAX_REFERENCES + "\nDuplicate of #12", REPO, NUMBER) is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    [
        *(
            "duplicate ",
            "duplicate of the ",
            "not a duplicate of #12 ",
            "duplicate of #12x ",
            "#1, closing as ",
        ),
        *("duplicate see also", "a", "#", "`", "[(", "<pre", "a/b", "of:\n", "-", " ", "\n", "is ", "```a\n"),
    ],
)
def test_a_hostile_comment_takes_linear_time(unit: str) -> None:  # quadratic: hours, over the time limit
    assert find_mark(unit * (300_000 // len(unit)), REPO, NUMBER) is None
