"""A server compares a query with one copy of the recent vectors. It finds what a search without it finds."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pipeline.index.queries import Queries
from pipeline.index.recent_vectors import RecentVectors
from pipeline.index.segment import Segment
from pipeline.index.segment_search import search
from pipeline.index.segmented_index import midnight
from pipeline.settings import Index
from tests.index.literal_segments import ANNOY, random_vectors, row, segment

SIZE = 16
EVERYTHING = 30 * 28
EXACT = Index(exact_items=EVERYTHING)
DAYS = {day: midnight(date(2015, 1, day)) for day in (1, 5, 9, 10, 21, 28)}


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[Segment]:
    """Days 1 to 10 and 11 to 20 with an Annoy index, 21 to 24 and 25 to 28 without: 30 issues per day."""
    folder, vectors = tmp_path_factory.mktemp("segments"), random_vectors(30 * 28, SIZE)
    opened = []
    for first, last, annoy in ((1, 10, ANNOY), (11, 20, ANNOY), (21, 24, None), (25, 28, None)):
        numbers = range(30 * (first - 1), 30 * last)
        rows = [row(number, "ab"[number % 2] + "/c", day=number // 30 + 1) for number in numbers]
        opened.append(segment(folder / str(first), rows, vectors[numbers.start : numbers.stop], annoy))
    return opened


def recent_since(segments: list[Segment], day: int, most_items: int) -> RecentVectors:
    recent = RecentVectors.of(segments, DAYS[day], most_items)
    assert recent is not None
    return recent


@pytest.mark.parametrize(
    ("day", "most_items", "parts"),
    [
        (1, 840, {2: 120, 3: 120, 0: 300, 1: 300}),
        (1, 839, {2: 120, 3: 120, 1: 300}),
        (1, 0, {2: 120, 3: 120}),
        (9, 840, {2: 120, 3: 120, 1: 300, 0: 60}),
        (9, 300, {2: 120, 3: 120, 0: 60}),
        (21, 840, {2: 120, 3: 120}),
    ],
)
def test_segments_with_an_annoy_index_are_compared_up_to_a_number_of_issues(
    segments: list[Segment], day: int, most_items: int, parts: dict[int, int]
) -> None:
    recent = recent_since(segments, day, most_items)
    assert {position: len(items) for position, items in recent.parts.items()} == parts


@pytest.mark.parametrize("recent_day", [1, 9, 28])
@pytest.mark.parametrize("searched_day", [None, 1, 5, 9, 10, 28])
@pytest.mark.parametrize("queries", [1, 17])
@pytest.mark.parametrize("most_items", [0, 400, EVERYTHING])
def test_the_nearest_issues_are_found(
    segments: list[Segment], recent_day: int, searched_day: int | None, queries: int, most_items: int
) -> None:
    vectors = random_vectors(queries, SIZE, seed=2).astype(np.float32)
    query = Queries(vectors, DAYS[searched_day] if searched_day else None)
    expected = search(segments, query, 5, EXACT)
    hits = search(segments, query, 5, EXACT, recent_since(segments, recent_day, most_items))
    assert hits.queries.tolist() == expected.queries.tolist()
    assert hits.segments.tolist() == expected.segments.tolist()
    assert hits.items.tolist() == expected.items.tolist()
    assert hits.distances.tolist() == expected.distances.tolist()


def test_of_thousands_of_equal_issues_the_oldest_are_found(tmp_path: Path) -> None:
    rows = [row(number, hour=number // 100) for number in range(2200)]
    segments = [segment(tmp_path / "a", rows, np.ones((len(rows), SIZE)))]
    recent = RecentVectors.of(segments, DAYS[1], EVERYTHING)
    hits = search(segments, Queries(np.ones((1, SIZE), np.float32)), 3, EXACT, recent)
    assert hits.items.tolist() == [0, 1, 2]


def test_an_index_with_large_segments_only_has_no_copy_if_none_is_wanted(segments: list[Segment]) -> None:
    assert RecentVectors.of(segments[:1], DAYS[1], 0) is None
