"""The rank of an issue's own body when its title is the query."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import TitlerError
from pipeline.evaluation.retrieval import (
    QUERIES_PER_BLOCK,
    RetrievalScores,
    embedding_ranks,
    score_ranks,
    tfidf_ranks,
)

BODIES = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])


def test_bodies_are_ranked_by_cosine() -> None:
    titles = np.array([[2.0, 0.1], [3.0, 0.0], [0.1, 9.0]])
    assert embedding_ranks(titles, 5 * BODIES).tolist() == [1, 2, 1]


def test_ties_take_the_worst_rank() -> None:
    assert embedding_ranks(np.ones((4, 3), np.float32), np.ones((4, 3), np.float32)).tolist() == [4, 4, 4, 4]


def test_a_body_with_a_zero_vector_is_ranked_last() -> None:
    assert embedding_ranks(np.ones((2, 2)), np.array([[0.0, 0.0], [1.0, 1.0]])).tolist() == [2, 1]


def test_queries_of_several_blocks_stay_in_order() -> None:
    count = 2 * QUERIES_PER_BLOCK + 3
    turns = np.linspace(0, math.pi / 2, count)
    bodies = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    assert embedding_ranks(np.tile([1.0, 0.0], (count, 1)), bodies).tolist() == list(range(1, count + 1))


def test_an_embedding_with_nan_is_an_error() -> None:
    with pytest.raises(TitlerError, match="not finite numbers"):
        embedding_ranks(np.array([[math.nan, 1.0]]), np.array([[1.0, 1.0]]))


def test_scores_of_ranks() -> None:
    assert score_ranks(np.array([1, 2, 8, 16])) == RetrievalScores(
        0.25, 0.5, 0.75, (1 + 1 / 2 + 1 / 8 + 1 / 16) / 4
    )


def test_tfidf_ranks_by_shared_words_and_rare_words_weigh_more() -> None:
    bodies = [["the", "parser", "fails"], ["the", "window", "fails"], ["the", "menu", "fails"]]
    titles = [["parser"], ["the", "window"], ["fails"]]  # "fails" is in every body
    assert tfidf_ranks(titles, bodies).tolist() == [1, 1, 3]


def test_a_title_without_a_shared_word_takes_the_last_rank() -> None:
    assert tfidf_ranks([["unheard"], [], ["a"]], [["a"], ["b"], []]).tolist() == [3, 3, 3]


def test_tfidf_ranks_without_any_word_or_any_query() -> None:
    assert tfidf_ranks([["a"], []], [[], []]).tolist() == [2, 2]
    assert tfidf_ranks([], []).tolist() == []


def test_tfidf_weights_are_those_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    bodies = [[f"w{n}" for n in rng.zipf(1.5, 30) % 50] for _ in range(40)]
    titles = [[f"w{n}" for n in rng.zipf(1.5, 4) % 50] for _ in range(40)]
    words = sorted({word for body in bodies for word in body})
    document_frequency = [sum(word in body for body in bodies) for word in words]
    rarity = 1 + np.log((1 + len(bodies)) / (1 + np.array(document_frequency)))

    def weights(texts: list[list[str]]) -> npt.NDArray[np.float64]:
        counts = np.array([[text.count(word) for word in words] for text in texts], dtype=float)
        return np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * rarity

    assert tfidf_ranks(titles, bodies).tolist() == embedding_ranks(weights(titles), weights(bodies)).tolist()
