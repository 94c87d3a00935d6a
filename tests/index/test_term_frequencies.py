"""In how many issues a term occurs."""

import numpy as np
import pytest

from pipeline.index.repository_words import RepositoryWords
from pipeline.index.term_frequencies import BUCKETS, Background, BucketCounts
from pipeline.text.issue_terms import IssueTerms, issue_terms

TITLES = ["parser crash", "crash on exit", "hang"]


@pytest.mark.parametrize("is_small", [True, False])
def test_the_terms_of_a_bucket_are_counted_together(is_small: bool) -> None:
    terms = np.array([7, 7 + BUCKETS, 8, 7], np.uint32)
    counts = BucketCounts(terms, is_small)
    assert counts.of(np.array([7, 8, 9, 7 + 2 * BUCKETS], np.uint32)).tolist() == [3, 1, 0, 3]


@pytest.mark.parametrize("is_small", [True, False])
def test_without_terms_all_buckets_are_empty(is_small: bool) -> None:
    assert BucketCounts(np.empty(0, np.uint32), is_small).of(np.array([1, 2], np.uint32)).tolist() == [0, 0]


def test_a_background_says_how_many_of_its_issues_have_a_term() -> None:
    crash, parser, new = (issue_terms([word], [None]).terms[0] for word in ("crash", "parser", "new"))
    frequencies = Background(issue_terms(TITLES, [None] * 3)).frequencies(np.array([crash, parser, new]))
    assert frequencies.tolist() == [2, 1, 0]


def test_words_weigh_the_same_whether_an_issue_is_a_candidate_or_in_the_background() -> None:
    issues, query = issue_terms(TITLES, [None] * 3), issue_terms(["crash of parser"], [None])
    among_issues = RepositoryWords(issues, query)
    in_background = RepositoryWords(issues.slice(0, 1), query, Background(issues.slice(1, 3)))
    assert in_background.weights(0).tolist() == among_issues.weights(0).tolist()
    assert in_background.mean_length == among_issues.mean_length
    places = np.arange(issues.offsets[1])
    assert in_background.weights_of_issues(places).tolist() == among_issues.weights_of_issues(places).tolist()


def test_a_template_may_be_a_template_because_of_the_background() -> None:
    template = issue_terms([f"crash {letter}" for letter in "abcde"], ["steps to reproduce it"] * 5)
    words = RepositoryWords(template.slice(0, 1), template.slice(0, 1), Background(template.slice(1, 5)))
    assert words.has_template_body.tolist() == [True]


def test_an_empty_background_has_no_terms() -> None:
    nothing = Background(IssueTerms.concatenate([]))
    assert (len(nothing), nothing.total) == (0, 0)
