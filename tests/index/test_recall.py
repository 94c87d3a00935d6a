"""The recall of an index: the share of the exact nearest neighbours that it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from pipeline.index import annoy_index
from pipeline.index.annoy_index import Index, Vectors
from pipeline.index.recall import measure_recall

VECTORS = np.array([[1, 0], [2, 0.1], [1, 1], [0, 1]], dtype=np.float32)
"""Items 0, 1, 2 and 3 are ordered by their distance from (1, 0), nearest first."""


class FakeIndex:
    """An index that returns the same items for every vector. Remembers the arguments of the last search."""

    def __init__(self, items: Sequence[int]) -> None:
        self.items = items
        self.arguments: Mapping[str, int] = {}

    def nearest(self, vector: Vectors, neighbours: int, search_k: int) -> list[tuple[int, float]]:
        self.arguments = {"neighbours": neighbours, "search_k": search_k}
        return [(item, 0.0) for item in self.items]


def recall_of(*items: int, neighbours: int = 2, vectors: Vectors = VECTORS) -> float:
    """The recall of the nearest neighbours of item 0 if the index returns `items` for it."""
    index = cast(Any, FakeIndex(items))
    return measure_recall(index, vectors, np.array([0]), neighbours=neighbours)


@pytest.mark.parametrize(
    ("items", "recall"), [((0, 1), 1.0), ((1, 0), 1.0), ((0, 3), 0.5), ((2, 3), 0.0), ((), 0.0)]
)
def test_recall_is_the_share_of_exact_neighbours_that_are_found(
    items: tuple[int, ...], recall: float
) -> None:
    assert recall_of(*items) == recall


def test_an_item_as_near_as_the_last_exact_neighbour_is_not_a_miss() -> None:
    vectors = np.array([[1, 0], [1, 1], [1, -1], [-1, 0]], dtype=np.float32)
    assert recall_of(0, 1, vectors=vectors) == recall_of(0, 2, vectors=vectors) == 1.0
    assert recall_of(0, 3, vectors=vectors) == 0.5


def test_the_length_of_a_vector_does_not_matter() -> None:
    vectors = np.array([[1, 0], [100, 10], [1, 1]], dtype=np.float32)
    assert recall_of(0, 1, vectors=vectors) == 1.0


def test_at_most_as_many_neighbours_as_there_are_items_are_searched() -> None:
    index = FakeIndex([0, 1, 2, 3])
    assert measure_recall(cast(Any, index), VECTORS, np.array([0]), search_k=7) == 1.0
    assert index.arguments == {"neighbours": 4, "search_k": 7}


def test_the_recall_without_queries_is_1() -> None:
    assert measure_recall(cast(Any, FakeIndex([])), VECTORS, np.array([], dtype=np.int64)) == 1.0


def test_an_annoy_index_has_recall_1_if_the_search_inspects_all_items(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).normal(size=(500, 16)).astype(np.float32)
    annoy_index.build([vectors], 16, tmp_path / "a.ann", trees=1, seed=1)
    index, queries = Index(tmp_path / "a.ann", 16), np.arange(50)
    assert measure_recall(index, vectors, queries, search_k=100_000) == 1.0
    assert measure_recall(index, vectors, queries, search_k=1) < 0.9
