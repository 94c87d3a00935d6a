"""Ranks of an issue's own body when its title is the question."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.errors import TitlerError
from pipeline.evaluation.retrieval import QUERIES_TOGETHER, Retrieval, lexical_ranks, own_ranks, retrieval

BODIES = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])


def test_a_bodys_rank_is_its_place_among_all_bodies_by_cosine() -> None:
    titles = np.array([[2.0, 0.1], [3.0, 0.0], [0.1, 9.0]])
    assert own_ranks(titles, 5 * BODIES).tolist() == [1, 2, 1]


def test_of_equals_the_last_rank_counts() -> None:
    assert own_ranks(np.ones((4, 3), np.float32), np.ones((4, 3), np.float32)).tolist() == [4, 4, 4, 4]


def test_a_body_without_a_vector_is_found_last() -> None:
    assert own_ranks(np.ones((2, 2)), np.array([[0.0, 0.0], [1.0, 1.0]])).tolist() == [2, 1]


def test_more_questions_than_are_asked_together_keep_their_order() -> None:
    count = 2 * QUERIES_TOGETHER + 3
    turns = np.linspace(0, math.pi / 2, count)
    bodies = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    assert own_ranks(np.tile([1.0, 0.0], (count, 1)), bodies).tolist() == list(range(1, count + 1))


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TitlerError, match="no number"):
        own_ranks(np.array([[math.nan, 1.0]]), np.array([[1.0, 1.0]]))


def test_figures_of_ranks() -> None:
    assert retrieval(np.array([1, 2, 8, 16])) == Retrieval(0.25, 0.5, 0.75, (1 + 1 / 2 + 1 / 8 + 1 / 16) / 4)


def test_the_floor_finds_a_body_by_the_words_it_shares_and_by_rare_ones_first() -> None:
    bodies = [["the", "parser", "fails"], ["the", "window", "fails"], ["the", "menu", "fails"]]
    titles = [["parser"], ["the", "window"], ["fails"]]  # the last word is in every body
    assert lexical_ranks(titles, bodies).tolist() == [1, 1, 3]


def test_the_floor_finds_nothing_where_no_word_is_shared() -> None:
    assert lexical_ranks([["unheard"], [], ["a"]], [["a"], ["b"], []]).tolist() == [3, 3, 3]


def test_the_floor_is_scikit_learns_tf_idf() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    rng = np.random.default_rng(0)
    bodies = [[f"w{n}" for n in rng.zipf(1.5, 30) % 50] for _ in range(40)]
    titles = [[f"w{n}" for n in rng.zipf(1.5, 4) % 50] for _ in range(40)]
    vectorizer = TfidfVectorizer(sublinear_tf=True, analyzer=lambda words: words)
    answers = vectorizer.fit_transform(bodies).toarray()
    assert (
        lexical_ranks(titles, bodies).tolist()
        == own_ranks(vectorizer.transform(titles).toarray(), answers).tolist()
    )
