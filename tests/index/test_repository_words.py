"""The search by words in a repository."""

import numpy as np

from pipeline.index.repository_words import MAX_SHARE, MIN_COMMON, MIN_SAME_BODY, RepositoryWords
from pipeline.text.issue_terms import issue_terms

NOTHING = [""]


def best(titles: list[str], query: str, count: int = 10, bodies: list[str] | None = None) -> list[int]:
    issues = issue_terms(titles, bodies or [""] * len(titles))
    return RepositoryWords(issues, issue_terms([query], NOTHING)).best(0, len(titles), count).tolist()


def test_the_issue_with_the_rarest_common_words_comes_first():
    assert best(["crash on start", "crash of parser", "crash on exit", "hang"], "parser crash") == [1, 0, 2]


def test_only_the_first_issues_are_searched():
    issues = issue_terms(["crash", "crash", "crash"], [""] * 3)
    words = RepositoryWords(issues, issue_terms(["crash"], NOTHING))
    assert words.best(0, 2, 10).tolist() == [0, 1]
    assert words.best(0, 0, 10).tolist() == []


def test_of_equal_issues_the_oldest_are_returned():
    assert best(["crash"] * 6, "crash", count=3) == [0, 1, 2]


def test_a_word_in_the_title_counts_more_than_one_in_the_body():
    assert best(["hang", "parser"], "parser", bodies=["the parser", ""]) == [1, 0]


def test_a_word_in_more_than_a_share_of_the_issues_counts_nothing():
    others = int(MIN_COMMON / MAX_SHARE) - MIN_COMMON - 1
    titles = ["template"] * (MIN_COMMON + 1) + ["crash"] * others
    assert best(titles, "template") == []
    assert len(best(titles[1:], "template", count=100)) == MIN_COMMON


def test_a_term_of_the_issues_weighs_more_the_rarer_it_is():
    issues = issue_terms(["crash", "crash", "hang"], [""] * 3)
    crash, _, hang = RepositoryWords(issues, issue_terms(["crash"], NOTHING)).weights_of_issues(np.arange(3))
    assert 0 < crash < hang
    common = issue_terms(["crash"] * (MIN_COMMON + 1), NOTHING * (MIN_COMMON + 1))
    assert RepositoryWords(common, common).weights_of_issues(np.arange(2)).tolist() == [0, 0]


def test_the_body_of_many_issues_is_a_template():
    titles = [f"hang {letter}" * 2 for letter in "abcdefgh"][:MIN_SAME_BODY]
    assert best(titles, "parser", bodies=["uses the parser"] * MIN_SAME_BODY) == []
    assert best(titles[1:], "parser", bodies=["uses the parser"] * (MIN_SAME_BODY - 1)) == [0, 1, 2, 3]


def test_a_query_is_ranked_the_same_among_other_queries():
    titles = [f"{a} {b}" for a in ("crash", "hang", "leak") for b in ("parser", "lexer", "loader", "cache")]
    issues = issue_terms(titles, [""] * len(titles))
    together = RepositoryWords(issues, issues)
    for row, title in enumerate(titles):
        alone = RepositoryWords(issues, issue_terms([title], NOTHING))
        assert together.best(row, row, 5).tolist() == alone.best(0, row, 5).tolist()


def test_words_with_the_same_last_bits_of_their_hash_are_told_apart():
    issues = issue_terms([f"word{number} x" for number in range(3000)], [""] * 3000)
    words = RepositoryWords(issues, issues)
    for row in (7, 500, 2999):
        assert words.best(row, 3000, 1).tolist() == [row]


def test_a_repository_or_a_query_without_words_has_no_answer():
    assert RepositoryWords(issue_terms([], []), issue_terms(["crash"], NOTHING)).best(0, 0, 5).tolist() == []
    assert best(["crash"], "") == []


def test_a_word_that_no_issue_has_is_as_heavy_as_a_word_can_be():
    words = RepositoryWords(issue_terms(["crash", "hang"], [""] * 2), issue_terms(["crash new"], NOTHING))
    weights = np.sort(words.weights(0))
    assert weights[1] > weights[0] > 0
