"""The issues of one repository, from all segments that have it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.index.repository_items import RepositoryItems, find_repositories, read_repository
from pipeline.index.segment import Segment, days_since_1970
from tests.index.literal_segments import row, segment


@pytest.fixture
def segments(tmp_path: Path) -> list[Segment]:
    """Two segments. Issue 5 was opened before issue 4, but recorded a day later."""
    late = {**row(5, "a/b", hour=3, day=1), "day": date(2015, 1, 2)}
    return [
        segment(
            tmp_path / "1",
            [row(1, "a/b", hour=4), row(2, "c/d"), row(3, "a/b", hour=5)],
            [[1, 0], [0, 1], [1, 1]],
        ),
        segment(tmp_path / "2", [late, row(4, "a/b", hour=9)], [[2, 2], [3, 3]]),
    ]


def read(segments: list[Segment], repo: str) -> RepositoryItems:
    return read_repository(segments, find_repositories(segments, [repo])[repo])


def test_repositories_are_found_in_all_segments_at_once(segments: list[Segment]) -> None:
    assert find_repositories(segments, ["c/d", "no/such", "a/b"]) == {
        "c/d": [(0, range(2, 3))],
        "a/b": [(0, range(2)), (1, range(2))],
    }


def test_the_issues_of_a_repository_come_by_source_day_time_and_id(segments: list[Segment]) -> None:
    repository = read(segments, "a/b")
    assert repository.issue_ids.tolist() == [1, 3, 4, 5]
    assert repository.vectors.tolist() == [[1, 0], [1, 1], [3, 3], [2, 2]]
    stored = zip(repository.segments.tolist(), repository.items.tolist(), strict=True)
    assert [int(segments[number].issue_ids[item]) for number, item in stored] == [1, 3, 4, 5]


def test_the_terms_are_in_the_same_order(segments: list[Segment]) -> None:
    terms = read(segments, "a/b").terms
    assert terms is not None
    one, *others = (terms.slice(issue, issue + 1).terms.tolist() for issue in range(4))
    assert one == segments[0].terms.slice(0, 1).terms.tolist() != []
    assert others[2] == segments[1].terms.slice(0, 1).terms.tolist()


def test_a_repository_up_to_a_day_has_the_issues_that_were_recorded_until_then(
    segments: list[Segment],
) -> None:
    day = int(days_since_1970(pa.chunked_array([[date(2015, 1, 1)]]))[0])
    repository = read(segments, "a/b").until(day)
    assert repository.issue_ids.tolist() == [1, 3, 4]
    assert (len(repository.vectors), repository.terms and len(repository.terms)) == (3, 3)


def test_the_issues_before_an_issue_are_counted_and_all_for_an_issue_of_elsewhere(
    segments: list[Segment],
) -> None:
    assert read(segments, "a/b").before(np.array([5, 1, 2, 4])).tolist() == [3, 0, 4, 2]


def test_a_repository_has_no_terms_if_a_segment_of_it_has_none(segments: list[Segment]) -> None:
    without = Segment(
        {
            "items": 2,
            "size": 2,
            "first_created_at": 0,
            "last_created_at": 0,
            "last_source_day": 0,
            "annoy": False,
        },
        segments[1]._path_of,
    )
    assert read([segments[0], without], "a/b").terms is None
    assert replace(read(segments, "c/d"), terms=None).until(10**6).terms is None
