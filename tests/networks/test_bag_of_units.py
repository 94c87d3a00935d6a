"""Texts as bags of units, and their vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.networks.bag_of_units import Bag, bag, embedding, inverse_document_frequency, vectors_of

VOCABULARY = 10


def ids(*texts: list[int]) -> np.ndarray:
    """Texts of at most 5 ids, padded at the end."""
    return np.array([text + [0] * (5 - len(text)) for text in texts], np.int32)


def rows_of(texts: Bag) -> list[tuple[int, int, float]]:
    """Text, unit and weight of each entry."""
    return list(zip(texts.texts.tolist(), texts.units.tolist(), texts.weights.tolist(), strict=True))


def test_a_unit_that_occurs_three_times_is_one_entry_with_the_weight_one_plus_the_logarithm_of_three() -> (
    None
):
    assert rows_of(bag(ids([6, 5, 6, 6], [7]), VOCABULARY)) == [
        (0, 5, 1),
        (0, 6, pytest.approx(1 + math.log(3))),
        (1, 7, 1),
    ]


def test_padding_unknown_start_and_end_are_not_units() -> None:
    assert rows_of(bag(ids([2, 5, 1, 6, 3]), VOCABULARY)) == [(0, 5, 1), (0, 6, 1)]


def test_the_vector_of_a_text_is_the_weighted_sum_of_its_rows_scaled_to_length_one() -> None:
    table = np.zeros((VOCABULARY, 2), np.float32)
    table[5], table[6] = [3, 0], [0, 4]
    assert vectors_of(table, ids([5, 6], [])).tolist() == [pytest.approx([0.6, 0.8]), [0, 0]]


def test_the_embedding_of_an_issue_lies_between_the_vectors_of_its_title_and_its_body() -> None:
    table = np.zeros((VOCABULARY, 2), np.float32)
    table[5], table[6] = [3, 0], [0, 1]
    bodies, titles = ids([5], [5], [], []), ids([2, 6, 3], [2, 3], [6], [])
    half = math.sqrt(0.5)
    assert embedding(table, bodies, titles).tolist() == [pytest.approx([half, half]), [1, 0], [0, 1], [0, 0]]
    assert embedding(table, bodies, None).tolist() == [[1, 0], [1, 0], [0, 0], [0, 0]]


def test_the_vector_of_a_text_does_not_depend_on_the_other_texts() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(VOCABULARY, 3)).astype(np.float32)
    texts = rng.integers(0, VOCABULARY, (600, 5)).astype(np.int32)
    one_by_one = np.concatenate([vectors_of(table, text[None]) for text in texts])
    np.testing.assert_allclose(vectors_of(table, texts), one_by_one, atol=1e-6)


def test_the_document_frequency_counts_issues_with_the_unit_in_title_or_body() -> None:
    batches = [(ids([5, 5], [5]), ids([5], [6])), (ids([7]), ids([6]))]
    idf = inverse_document_frequency(iter(batches), VOCABULARY)
    # of 3 issues two contain unit 5, two 6, one 7, none 8
    assert idf[[5, 6, 7, 8]].tolist() == pytest.approx([1 + math.log(4 / (1 + df)) for df in (2, 2, 1, 0)])
