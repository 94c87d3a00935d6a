"""The recall of a search: the share of the exact nearest neighbours that it finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.index import recall, segment_search
from pipeline.index.queries import Hits, Queries
from pipeline.index.recall import measure_recall
from pipeline.index.segment import Numbers, Segment
from pipeline.settings import Index
from tests.index.literal_segments import ANNOY, random_vectors, row, segment

VECTORS = [[1.0, 0.0], [2.0, 0.1], [1.0, 1.0], [0.0, 1.0]]
"""Items 0, 1, 2 and 3 are ordered by their distance from (1, 0), nearest first."""


def answers(monkeypatch: pytest.MonkeyPatch, *items: int) -> None:
    """Lets every search find these items for the first query and the exact ones for the others."""

    def search(
        segments: list[Segment], queries: Queries, neighbours: int, settings: Index, *, one_at_a_time: bool
    ) -> Hits:
        found = segment_search.search(segments, queries, neighbours, settings, one_at_a_time=one_at_a_time)
        others = found.queries > 0
        rows: Numbers = np.zeros(len(items), dtype=np.int64)
        own = np.array(items, dtype=np.int64)
        vectors = segments[0].vectors.astype(np.float64)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        distances = np.sqrt(np.maximum(0, 2 - 2 * unit[own] @ unit[0]))
        return Hits(
            np.concatenate([rows, found.queries[others]]),
            np.zeros(len(rows) + int(others.sum()), dtype=np.int64),
            np.concatenate([own, found.items[others]]),
            np.concatenate([distances, found.distances[others]]),
        )

    monkeypatch.setattr(recall, "search", search)


@pytest.mark.parametrize(("items", "hits"), [((0, 1), 2), ((1, 0), 2), ((0, 3), 1), ((2, 3), 0), ((), 0)])
def test_recall_is_the_share_of_exact_neighbours_that_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, items: tuple[int, ...], hits: int
) -> None:
    small = segment(tmp_path, [row(number) for number in range(4)], VECTORS)
    answers(monkeypatch, *items)
    assert measure_recall([small], Index(), neighbours=2) == ((hits + 6) / 8, 4)


def test_an_item_as_near_as_the_last_exact_neighbour_is_not_a_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tied = segment(tmp_path, [row(number) for number in range(4)], [[1, 0], [1, 1], [1, -1], [-1, 0]])
    answers(monkeypatch, 0, 2)
    assert measure_recall([tied], Index(), neighbours=2)[0] == 1


def test_at_most_as_many_neighbours_as_there_are_issues_are_expected(tmp_path: Path) -> None:
    small = segment(tmp_path, [row(number) for number in range(4)], VECTORS)
    assert measure_recall([small], Index()) == (1.0, 4)


def test_the_recall_without_issues_is_1(tmp_path: Path) -> None:
    assert measure_recall([], Index()) == (1.0, 0)
    assert measure_recall([segment(tmp_path, [], np.empty((0, 2)))], Index()) == (1.0, 0)


def test_the_recall_of_an_annoy_index_depends_on_how_many_items_a_search_inspects(tmp_path: Path) -> None:
    rows = [row(number, day=number // 100 + 1) for number in range(500)]
    large = segment(tmp_path, rows, random_vectors(500, 16), {**ANNOY, "trees": 1})
    assert measure_recall([large], Index(exact_items=0, search_k=100_000)) == (1.0, 200)
    low, _ = measure_recall([large], Index(exact_items=0, search_k=1))
    assert low < 0.9
    since = int(np.datetime64("2015-01-03", "us").astype(np.int64))
    assert measure_recall([large], Index(exact_items=0, search_k=100_000), since) == (1.0, 200)


def test_the_recall_of_several_segments_is_that_of_the_merged_answer(tmp_path: Path) -> None:
    vectors = random_vectors(900, 16)
    parts = [
        segment(tmp_path / str(part), [row(number) for number in range(300)], vectors[part::3], ANNOY)
        for part in range(3)
    ]
    assert measure_recall(parts, Index(exact_items=0, search_k=100_000))[0] == 1
    assert measure_recall(parts, Index(exact_items=0, search_k=1))[0] < 0.9
