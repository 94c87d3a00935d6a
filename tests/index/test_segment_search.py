"""Searching several segments: exactly or by Annoy, only for allowed issues, merged by exact distance."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipeline.index import segment_search
from pipeline.index.list_rows import hit_rows
from pipeline.index.queries import Ages, Queries, months_before
from pipeline.index.segment import Segment, unmap_all
from pipeline.index.segment_search import search
from pipeline.settings import Index
from tests.index.literal_segments import ANNOY, mapped_files, random_vectors, row, segment


def queries(*vectors: list[float], since: int | None = None, ages: Ages | None = None) -> Queries:
    return Queries(np.array(vectors, dtype=np.float32), since, ages)


def moment(day: int, hour: int = 0) -> int:
    """A time in January 2015 in microseconds since 1970."""
    return int(datetime(2015, 1, day, hour, tzinfo=UTC).timestamp() * 1_000_000)


def ages(*opened: tuple[int, int, int]) -> Ages:
    """Ages of queries: the day in January 2015, the hour, the id. The source day is the day."""
    return Ages(
        np.array([moment(day, hour) for day, hour, _ in opened]),
        np.array([issue_id for _, _, issue_id in opened]),
        np.array([16435 + day for day, _, _ in opened]),
    )


def found(segments: list[Segment], asked: Queries, neighbours: int, settings: Index | None = None):
    """The ids that a search finds, per query."""
    hits = search(segments, asked, neighbours, settings or Index())
    ids = hit_rows(segments, hits, ["issue_id"]).column("issue_id").to_pylist()
    return [
        [issue_id for issue_id, query in zip(ids, hits.queries.tolist(), strict=True) if query == number]
        for number in range(len(asked))
    ]


@pytest.fixture
def two(tmp_path: Path) -> list[Segment]:
    """Issues 1 to 4 in two segments. By their distance from (1, 0): 1, 3, 2, 4."""
    return [
        segment(tmp_path / "a", [row(1, day=1), row(2, "c/d", day=2)], [[1, 0], [1, 2]]),
        segment(tmp_path / "b", [row(3, day=3), row(4, day=4)], [[2, 1], [-1, 0]]),
    ]


def test_the_nearest_of_all_segments_are_merged_by_distance(two: list[Segment]) -> None:
    hits = search(two, queries([1, 0], [-3, 0]), 3, Index())
    assert found(two, queries([1, 0], [-3, 0]), 3) == [[1, 3, 2], [4, 2, 3]]
    assert hits.ranks.tolist() == [0, 1, 2, 0, 1, 2]
    assert hits.distances[:3].tolist() == pytest.approx([0, (2 - 4 / 5**0.5) ** 0.5, (2 - 2 / 5**0.5) ** 0.5])


def test_there_may_be_fewer_issues_than_wanted_or_none(two: list[Segment]) -> None:
    assert found(two, queries([1, 0]), 10) == [[1, 3, 2, 4]]
    assert found([], queries([1, 0]), 10) == [[]]
    assert len(search(two, Queries(np.empty((0, 2), np.float32)), 3, Index())) == 0


def test_only_issues_that_were_opened_late_enough_are_found(two: list[Segment]) -> None:
    assert found(two, queries([1, 0], since=moment(2)), 10) == [[3, 2, 4]]
    assert found(two, queries([1, 0], since=moment(5)), 10) == [[]]


def test_only_older_issues_are_found(two: list[Segment]) -> None:
    asked = queries([1, 0], [1, 0], [1, 0], ages=ages((3, 0, 3), (4, 0, 9), (1, 0, 1)))
    assert found(two, asked, 10) == [[1, 2], [1, 3, 2, 4], []]


def test_of_two_issues_opened_at_the_same_time_the_smaller_id_is_older(tmp_path: Path) -> None:
    same = segment(tmp_path, [row(8), row(9)], [[1, 0], [1, 0]])
    assert found([same], queries([1, 0], [1, 0], ages=ages((1, 0, 8), (1, 0, 9))), 10) == [[], [8]]


def test_an_issue_of_a_later_source_day_is_not_found_although_it_was_opened_earlier(tmp_path: Path) -> None:
    late = {**row(1, day=2), "created_at": datetime(2015, 1, 1, tzinfo=UTC)}
    both = segment(tmp_path, [late, row(2, day=1)], [[1, 0], [1, 0]])
    exact = queries([1, 0], [1, 0], ages=ages((1, 5, 3), (2, 5, 3)))
    assert found([both], exact, 10) == [[2], [1, 2]]


def test_equally_distant_issues_are_ordered_by_age_and_then_id_whatever_segment_they_are_in(
    tmp_path: Path,
) -> None:
    first = segment(tmp_path / "a", [row(5, hour=2), row(9, hour=1)], [[3, 3], [1, 1]])
    second = segment(tmp_path / "b", [row(4, hour=2), row(1, hour=3)], [[2, 2], [1, 1]])
    assert found([first, second], queries([1, 0]), 3) == [[9, 4, 5]]
    assert found([second, first], queries([1, 0]), 3) == [[9, 4, 5]]


def test_of_many_equally_distant_issues_the_oldest_are_found(tmp_path: Path) -> None:
    count = 500
    rows = [row(count - number, repo=f"a/{number % 7}") for number in range(count)]
    same = segment(tmp_path, [*rows, row(1000, hour=1)], [[1, 1]] * count + [[1, 0]])
    assert found([same], queries([1, 0], [1, 1]), 3) == [[1000, 1, 2], [1, 2, 3]]


def test_a_search_of_few_issues_of_a_large_segment_does_not_read_all_vectors(tmp_path: Path) -> None:
    large = segment(tmp_path, [row(1, day=1), row(2, day=2)], [[1, 0], [0, 1]], ANNOY)
    few = Index(exact_items=1)
    assert found([large], queries([1, 0], since=moment(2)), 2, few) == [[2]]
    assert "_all_lengths" not in vars(large)


def test_the_files_of_a_segment_are_unmapped_before_the_next_one_is_searched(tmp_path: Path) -> None:
    """Otherwise the memory of a night would grow with the history."""
    mapped_before: dict[str, set[str]] = {}

    def note(path: Path) -> None:
        mapped_before[str(path.relative_to(tmp_path))] = mapped_files(tmp_path)

    vectors = random_vectors(40).astype(np.float32)
    segments = [
        segment(tmp_path / name, [row(each) for each in range(40)], vectors, annoy, on_open=note)
        for name, annoy in (("exact", None), ("annoy", ANNOY), ("last", None))
    ]
    settings = Index(exact_items=1)
    hits = search(segments, Queries(vectors), 3, settings)
    assert mapped_files(tmp_path) == {
        *("exact/vectors.npy", "annoy/vectors.npy", "annoy/issues.ann", "last/vectors.npy")
    }
    unmap_all(segments)
    again = search(segments, Queries(vectors), 3, settings, one_at_a_time=True)
    assert mapped_files(tmp_path) == set()
    large = {name: names for name, names in mapped_before.items() if name.endswith(("vectors.npy", ".ann"))}
    assert large == {
        "exact/vectors.npy": set(),
        "annoy/issues.ann": set(),
        "annoy/vectors.npy": {"annoy/issues.ann"},
        "last/vectors.npy": set(),
    }
    assert again.distances.tolist() == hits.distances.tolist()


@pytest.fixture
def random_segments(tmp_path: Path) -> dict[str, list[Segment]]:
    """The same 600 issues in one segment, in three, and in one with an Annoy index."""
    vectors = random_vectors(600)
    rows = [row(number, f"a/{number % 5}", hour=number % 24, day=number % 20 + 1) for number in range(600)]
    return {
        "one": [segment(tmp_path / "one", rows, vectors)],
        "three": [segment(tmp_path / f"three{part}", rows[part::3], vectors[part::3]) for part in range(3)],
        "annoy": [segment(tmp_path / "annoy", rows, vectors, ANNOY)],
    }


RESTRICTED = Queries(
    random_vectors(30, seed=2).astype(np.float32),
    moment(4),
    ages(*((number % 20 + 1, 12, 300) for number in range(30))),
)


@pytest.mark.parametrize("asked", [Queries(RESTRICTED.vectors), RESTRICTED], ids=["all", "restricted"])
def test_how_the_issues_are_split_into_segments_and_blocks_does_not_matter(
    random_segments: dict[str, list[Segment]], asked: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = search(random_segments["one"], asked, 10, Index())
    expected = found(random_segments["one"], asked, 10)
    assert max(map(len, expected)) == 10
    assert found(random_segments["three"], asked, 10) == expected
    monkeypatch.setattr(segment_search, "ITEMS_PER_BLOCK", 70)
    monkeypatch.setattr(segment_search, "SCORES_PER_PRODUCT", 700)
    monkeypatch.setattr(segment_search, "PAIRS_PER_BLOCK", 7)
    monkeypatch.setattr(segment_search, "QUERIES_PER_BLOCK", 7)
    in_blocks = search(random_segments["one"], asked, 10, Index())
    assert in_blocks.items.tolist() == one.items.tolist()
    assert in_blocks.distances.tolist() == one.distances.tolist()  # not only nearly


@pytest.mark.parametrize("asked", [Queries(RESTRICTED.vectors), RESTRICTED], ids=["all", "restricted"])
def test_an_annoy_index_that_inspects_all_items_finds_the_same(
    random_segments: dict[str, list[Segment]], asked: Queries
) -> None:
    settings = Index(exact_items=0, search_k=1_000_000)
    assert found(random_segments["annoy"], asked, 5, settings) == found(random_segments["one"], asked, 5)


def test_a_segment_with_an_annoy_index_is_searched_exactly_if_few_of_its_issues_are_allowed(
    random_segments: dict[str, list[Segment]], tmp_path: Path
) -> None:
    (tmp_path / "annoy" / "issues.ann").unlink()
    assert found(random_segments["annoy"], RESTRICTED, 5, Index(exact_items=599)) == found(
        random_segments["one"], RESTRICTED, 5
    )


def test_a_month_is_counted_back_from_the_first_moment_of_the_days_month() -> None:
    moments = [months_before("2016-03-31", months) for months in (0, 1, 24)]
    assert [datetime.fromtimestamp(value / 1e6, UTC).isoformat() for value in moments] == [
        "2016-03-01T00:00:00+00:00",
        "2016-02-01T00:00:00+00:00",
        "2014-03-01T00:00:00+00:00",
    ]
