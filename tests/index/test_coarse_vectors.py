"""Coarse vectors leave out only items that are not among the nearest."""

from pathlib import Path

import numpy as np

from pipeline.index.coarse_vectors import CoarseVectors
from pipeline.index.queries import Queries, Vectors
from pipeline.index.segment_search import search
from pipeline.index.unit_vectors import lengths_of
from pipeline.settings import Index
from tests.index.literal_segments import random_vectors, row, segment

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
    for query in unit_queries(50):
        nearest = np.argsort(-cosines(query))[:10]
        possible = COARSE.possibly_nearest(query, ITEMS, 10, -np.inf)
        assert set(nearest.tolist()) <= set(possible.tolist())
        assert len(possible) < 100


def test_items_that_are_farther_than_the_bound_are_left_out() -> None:
    (query,) = unit_queries(1)
    tenth = float(np.sort(cosines(query))[-10])
    assert len(COARSE.possibly_nearest(query, ITEMS, 1000, tenth)) < 100
    assert set(np.flatnonzero(cosines(query) >= tenth).tolist()) <= set(
        COARSE.possibly_nearest(query, ITEMS, 1000, tenth).tolist()
    )


def test_only_the_given_items_are_searched() -> None:
    (query,) = unit_queries(1)
    every_third = ITEMS[::3]
    possible = COARSE.possibly_nearest(query, every_third, 5, -np.inf)
    assert set(possible.tolist()) <= set(every_third.tolist())
    assert COARSE.possibly_nearest(query, every_third[:5], 5, -np.inf).tolist() == every_third[:5].tolist()


def test_a_search_with_coarse_vectors_finds_the_same(tmp_path: Path) -> None:
    count = 300
    segments = [
        segment(tmp_path / str(part), [row(part * count + number) for number in range(1, count + 1)], vectors)
        for part, vectors in enumerate((VECTORS[:count], VECTORS[count : 2 * count]))
    ]
    queries = [Queries(query[None]) for query in unit_queries(20)]
    exact = [search(segments, query, 5, Index()) for query in queries]
    for each in segments:
        each.keep_coarse_vectors()
    for query, expected in zip(queries, exact, strict=True):
        hits = search(segments, query, 5, Index())
        assert (hits.segments.tolist(), hits.items.tolist()) == (
            expected.segments.tolist(),
            expected.items.tolist(),
        )
        assert hits.distances.tolist() == expected.distances.tolist()
