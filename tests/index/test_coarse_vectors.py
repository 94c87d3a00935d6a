"""Coarse vectors leave out only items that are not among the nearest."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.index import coarse_vectors
from pipeline.index.coarse_vectors import CoarseVectors
from pipeline.index.queries import Vectors
from tests.index.literal_segments import random_vectors

SIZE = 16
VECTORS = random_vectors(2000, SIZE)
ALL = np.ones(len(VECTORS), dtype=bool)


def unit_queries(count: int) -> Vectors:
    vectors = random_vectors(count, SIZE, seed=2).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cosines(query: Vectors) -> Vectors:
    stored = VECTORS.astype(np.float32)
    return stored @ query / np.linalg.norm(stored, axis=1)


@pytest.fixture(params=[32_768, 700, 100], ids="{} items per block".format)
def coarse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> CoarseVectors:
    monkeypatch.setattr(coarse_vectors, "ITEMS_PER_BLOCK", request.param)
    return CoarseVectors.of([VECTORS[:50], VECTORS[50:1800], VECTORS[1800:]])


@pytest.mark.parametrize("queries", [1, 50])
def test_the_nearest_items_are_never_left_out_and_most_others_are(
    coarse: CoarseVectors, queries: int
) -> None:
    units = unit_queries(queries)
    rows, items = coarse.possibly_nearest(units, ALL, 10)
    for number, query in enumerate(units):
        nearest = np.argsort(-cosines(query))[:10]
        possible = items[rows == number]
        assert set(nearest.tolist()) <= set(possible.tolist())
        assert len(possible) < 100


def test_of_nearly_equal_items_none_is_left_out() -> None:
    vectors = np.ones((500, SIZE)) + random_vectors(500, SIZE) / 1000
    coarse = CoarseVectors.of([vectors.astype(np.float16)])
    _, items = coarse.possibly_nearest(unit_queries(1), np.ones(500, dtype=bool), 10)
    assert len(items) == 500


def test_only_allowed_items_are_found(coarse: CoarseVectors) -> None:
    every_third = np.arange(len(VECTORS)) % 3 == 0
    _, possible = coarse.possibly_nearest(unit_queries(1), every_third, 5)
    assert set(possible.tolist()) <= set(np.flatnonzero(every_third).tolist())
    two = np.isin(np.arange(len(VECTORS)), [7, 1900])
    rows, few = coarse.possibly_nearest(unit_queries(2), two, 5)
    assert (rows.tolist(), few.tolist()) == ([0, 0, 1, 1], [7, 1900, 7, 1900])
