"""Coarse vectors leave out only items that are not among the nearest."""

import numpy as np

from pipeline.index.coarse_vectors import CoarseVectors
from pipeline.index.queries import Vectors
from pipeline.index.unit_vectors import lengths_of
from tests.index.literal_segments import random_vectors

SIZE = 16
VECTORS = random_vectors(2000, SIZE)
ITEMS = np.arange(len(VECTORS))
COARSE = CoarseVectors.of(VECTORS, lengths_of(VECTORS))


def unit_queries(count: int) -> Vectors:
    vectors = random_vectors(count, SIZE, seed=2).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cosines(query: Vectors) -> Vectors:
    stored = VECTORS.astype(np.float32)
    return stored @ query / np.linalg.norm(stored, axis=1)


def test_a_cosine_is_wrong_by_at_most_the_error() -> None:
    units = VECTORS.astype(np.float64) / np.linalg.norm(VECTORS.astype(np.float64), axis=1, keepdims=True)
    coarse = COARSE.numbers * COARSE.scales[:, None].astype(np.float64)
    assert np.linalg.norm(units - coarse, axis=1).max() <= COARSE.error < 0.02


def test_the_nearest_items_are_never_left_out_and_most_others_are() -> None:
    queries = unit_queries(50)
    rows, items = COARSE.possibly_nearest(queries, ITEMS, 10)
    for number, query in enumerate(queries):
        nearest = np.argsort(-cosines(query))[:10]
        possible = items[rows == number]
        assert set(nearest.tolist()) <= set(possible.tolist())
        assert len(possible) < 100


def test_only_the_given_items_are_searched() -> None:
    every_third = ITEMS[::3]
    _, possible = COARSE.possibly_nearest(unit_queries(1), every_third, 5)
    assert set(possible.tolist()) <= set(every_third.tolist())
    rows, few = COARSE.possibly_nearest(unit_queries(2), every_third[:2], 5)
    assert (rows.tolist(), few.tolist()) == ([0, 0, 1, 1], [0, 3, 0, 3])
