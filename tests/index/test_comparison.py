"""A list of similar issues: its order, one issue per group of equal texts, and why an issue is in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.index.comparison import TEXTS, Comparison, Listed, text_groups
from pipeline.index.ordering import FEATURES
from pipeline.index.repository_words import RepositoryWords
from pipeline.text.issue_terms import issue_terms, term_words

DAY = 86_400_000_000
QUERY = ("Parser crashes on an empty file", "It panics while reading zero bytes.")


def compared(
    issues: Sequence[tuple[str, str | None]],
    cosines: Sequence[float] | None = None,
    created_at: Sequence[int] | None = None,
) -> Comparison:
    """The comparison of the query, opened on day 10, with issues (title and body)."""
    terms = issue_terms([title for title, _ in issues], [body for _, body in issues])
    query = issue_terms([QUERY[0]], [QUERY[1]])
    count = len(issues)
    return Comparison(
        RepositoryWords(terms, query),
        0,
        int(query.body_hashes[0]),
        10 * DAY,
        np.arange(count),
        terms,
        np.zeros(count, np.int64),
        np.arange(count),
        np.array(cosines or [0.5] * count),
        np.array(created_at or [DAY] * count),
        np.arange(count) + 100,
    )


def chosen(comparison: Comparison, probabilities: Sequence[float], count: int = 10) -> Listed:
    return comparison.chosen(comparison.features(), np.array(probabilities), count)


def test_the_most_probable_issue_comes_first_and_then_the_nearest_and_the_oldest() -> None:
    titles = [("one", "a b"), ("two", "c d"), ("three", "e f"), ("four", "g h")]
    comparison = compared(titles, [0.1, 0.2, 0.2, 0.3], [4 * DAY, 3 * DAY, 2 * DAY, DAY])
    assert chosen(comparison, [0.9, 0.5, 0.5, 0.5]).items.tolist() == [0, 3, 2, 1]
    assert chosen(comparison, [0.9, 0.5, 0.5, 0.5], 2).items.tolist() == [0, 3]


def test_of_issues_with_the_same_body_only_the_most_probable_is_listed() -> None:
    same = "The parser ended early because the last block of a large archive was empty."
    listed = chosen(
        compared([("a", same), ("b", "other text"), ("c", same), ("d", same)]), [0.1, 0.2, 0.4, 0.3]
    )
    assert (listed.items.tolist(), listed.group_sizes.tolist()) == ([2, 1], [3, 1])


def test_of_near_copies_only_the_most_probable_is_listed() -> None:
    words = [f"{first}{second}" for first in ("ab", "cd", "ef", "gh", "ij") for second in "klmnopqr"]
    report = "The nightly job of the archive ended early: " + " ".join(words)
    other = report.replace("abk", "xyz").replace("abl", "zyx").replace("abm", "yxz")
    issues = [("Job", report), ("Job", report + " tuesday"), ("Job", other), ("Job", report + " friday")]
    listed = chosen(compared(issues), [0.1, 0.2, 0.3, 0.4])
    assert (listed.items.tolist(), listed.group_sizes.tolist()) == ([3, 2], [3, 1])


@pytest.mark.parametrize("body", ["The parser fails as soon as the file has more lines than pages.", ""])
def test_a_short_text_with_another_word_is_no_near_copy(body: str) -> None:
    issues = [("Parser fails", body), ("Calendar fails", body.replace("parser", "calendar"))]
    assert sorted(chosen(compared(issues), [0.1, 0.2]).items.tolist()) == [0, 1]


def grouped(titles: list[str], bodies: list[str | None], is_template: bool = False) -> list[int]:
    """The number of the group of each issue: that of the first issue with the same text."""
    groups = text_groups(issue_terms(titles, bodies), np.full(len(titles), is_template)).tolist()
    return [groups.index(group) for group in groups]


def test_issues_without_a_body_are_one_group_if_their_titles_are_the_same() -> None:
    assert grouped(["It crashes", "It crashes", "Menu is empty", "", ""], [None] * 5) == [0, 0, 2, 3, 3]


@pytest.mark.parametrize("body", ["See title", "As above", "![image](https://example.com/1.png)"])
def test_a_short_body_makes_no_group(body: str) -> None:
    assert grouped(["It crashes", "Menu is empty", "It crashes"], [body] * 3) == [0, 1, 0]


def test_a_template_that_nobody_filled_in_makes_no_group() -> None:
    body = "Please describe what happened, what you expected, and which version of the program you use."
    titles = ["It crashes", "Menu is empty", "It crashes"]
    assert grouped(titles, [body] * 3, is_template=True) == [0, 1, 0]


def test_the_reports_of_a_program_are_one_group_whatever_their_versions_and_dates() -> None:
    titles = ["Bump lodash from 4.17.1 to 4.17.2", "Bump lodash from 4.17.2 to 5.0", "Nightly build failed"]
    titles += ["Nightly build failed on 2024-01-01", "Nightly build failed on 2024-01-02"]
    assert grouped(titles, ["log a", "log b", "log c", "log d", "log e"]) == [0, 0, 2, 2, 2]


@pytest.mark.parametrize(
    ("issue", "text"),
    [
        (("Reader panics", "With a large file of zero bytes."), "own"),
        (("Another title", QUERY[1].upper()), "same"),
        (("Reader panics", None), "none"),
        (("Bump lodash from 4.17.1 to 4.17.2", "See the release notes."), "automated"),
    ],
)
def test_a_listed_issue_says_what_its_body_has(issue: tuple[str, str | None], text: str) -> None:
    assert TEXTS[chosen(compared([issue]), [0.5]).texts[0]] == text


def test_a_body_that_many_issues_have_is_no_text_of_their_own() -> None:
    many = [("It crashes", "Nobody replaced these same words.")] * 6
    listed = chosen(compared([*many, ("Reader panics", "With a large file of zero bytes.")]), [0.5] * 7)
    assert [TEXTS[text] for text in listed.texts.tolist()] == ["none", "own"]


def test_a_listed_issue_has_the_most_telling_words_in_common_first() -> None:
    others = [(f"Menu {letter}", f"A parser and zero bytes {letter}") for letter in "abcdefgh"]
    listed = chosen(compared([("Parser panics", "Reading zero bytes"), *others]), [0.9, *[0.1] * 8], 1)
    words = term_words(*QUERY)
    named = [words[term] for term in listed.terms[0].tolist() if term]
    assert set(named[:2]) == {"panics", "reading"}  # no other issue has them
    assert named[2] == "parser"  # it stands in the title
    assert set(named[3:]) == {"zero", "bytes"}


def test_issues_without_a_word_in_common_have_none() -> None:
    assert chosen(compared([("Menu", "Font")]), [0.5]).terms.tolist() == [[0, 0, 0, 0, 0]]


def test_a_listed_issue_has_its_age_its_distance_and_the_overlap_of_the_titles() -> None:
    comparison = compared([("Parser crashes on an empty file", "x y")], [0.5], [DAY])
    listed = chosen(comparison, [0.5])
    assert (listed.ages_in_days.tolist(), listed.distances.tolist()) == ([9.0], [1.0])
    assert listed.title_overlaps[0] == comparison.features()[0, FEATURES.index("title_overlap")] > 0


def test_without_candidates_the_list_is_empty() -> None:
    assert len(chosen(compared([]), [])) == 0
