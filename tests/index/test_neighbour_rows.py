"""The rows that are stored for an issue: two lists of older issues, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contracts import SEGMENTS, SIMILAR_ISSUES
from pipeline.index.neighbour_rows import find_lists, neighbour_rows
from pipeline.index.segment import Segment
from pipeline.settings import Index
from tests.index.literal_segments import mapped_files, row, segment

ISSUES: Sequence[Mapping[str, Any]] = [
    row(1, "a/b", day=1) | {"title": "Parser crashes on an empty file"},
    row(2, "a/b", day=2) | {"title": "Menu is empty"},
    row(3, "c/d", day=3) | {"title": "Parser crashes on an empty file"},
    row(4, "a/b", day=4, hour=5) | {"title": "Parser crash: empty file"},
    row(5, "a/b", day=5) | {"title": "Font is too small"},
]
BODIES = ["Panics.", "No entry.", "Panics here.", "Panics again.", None]
VECTORS = np.array([[1, 0.5], [0, 1], [1, 0], [1, 0.1], [-1, 0]], np.float16)


def rows_of(
    folder: Path,
    numbers: Sequence[int],
    stored: Sequence[int] = (1, 2, 3, 4, 5),
    since: int = 0,
    count: int = 10,
) -> list[dict[str, Any]]:
    """The rows of some issues, found in a segment with the issues `stored`."""
    in_segment = [number - 1 for number in stored]
    segments = [
        segment(
            folder,
            [dict(ISSUES[number]) for number in in_segment],
            VECTORS[in_segment],
            bodies=[BODIES[number] for number in in_segment],
        )
    ]
    own = [number - 1 for number in numbers]
    issues = pa.Table.from_pylist([dict(ISSUES[number]) for number in own], schema=SEGMENTS.schema)
    issues = issues.append_column("body", pa.array([BODIES[number] for number in own], pa.string()))
    return neighbour_rows(
        issues, segments, find_lists(segments, issues, VECTORS[own], since, count, Index()), 0.2
    ).to_pylist()


def pairs(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["issue_id"], row["list"], row["rank"], row["similar_issue_id"]) for row in rows]


def test_an_issue_has_two_lists_of_older_issues(tmp_path: Path) -> None:
    rows = pairs(rows_of(tmp_path, [1, 4]))
    assert rows[:2] == [(4, "repository", 1, 1), (4, "repository", 2, 2)]
    assert [row[:3] for row in rows[2:]] == [(4, "everywhere", rank) for rank in (1, 2, 3)]
    assert {row[3] for row in rows[2:]} == {1, 2, 3}


def test_a_row_says_why_the_issue_is_similar(tmp_path: Path) -> None:
    first = rows_of(tmp_path, [4])[0]
    assert SIMILAR_ISSUES.conform(pa.Table.from_pylist([first]).drop_columns("day")).num_rows == 1
    assert 0 < first.pop("probability") < 1
    assert first == {
        "day": date(2015, 1, 4),
        "issue_id": 4,
        "issue_url": "https://github.com/a/b/issues/4",
        "list": "repository",
        "rank": 1,
        "similar_issue_id": 1,
        "similar_issue_url": "https://github.com/a/b/issues/1",
        "similar_title": "Parser crashes on an empty file",
        "distance": pytest.approx(0.362, abs=1e-4),
        "same_repo": True,
        "near_duplicate": False,
        "words_in_common": "parser, file, crash, panics, empty",
        "title_overlap": pytest.approx(1.0),
        "age_days": 3,
        "similar_text": "none",
        "group_size": 1,
    }


def test_the_same_pair_has_the_same_probability_in_both_lists(tmp_path: Path) -> None:
    rows = [row for row in rows_of(tmp_path, [4]) if row["similar_issue_id"] == 1]
    assert [row["list"] for row in rows] == ["repository", "everywhere"]
    assert rows[0]["probability"] == rows[1]["probability"]


def test_only_the_list_of_all_repositories_is_limited_to_recent_issues(tmp_path: Path) -> None:
    since = int(datetime(2015, 1, 3, tzinfo=UTC).timestamp() * 1e6)
    assert pairs(rows_of(tmp_path, [4], since=since)) == [
        (4, "repository", 1, 1),
        (4, "repository", 2, 2),
        (4, "everywhere", 1, 3),
    ]


def test_the_lists_of_an_issue_do_not_depend_on_issues_of_later_days(tmp_path: Path) -> None:
    alone = rows_of(tmp_path / "alone", [4], stored=[1, 2, 3, 4])
    together = rows_of(tmp_path / "together", [5, 4])
    assert [row for row in together if row["issue_id"] == 4] == alone != []


def test_a_list_has_at_most_as_many_issues_as_are_wanted(tmp_path: Path) -> None:
    rows = pairs(rows_of(tmp_path, [4], count=1))
    assert [row[:3] for row in rows] == [(4, "repository", 1), (4, "everywhere", 1)]


def test_without_issues_there_are_no_rows(tmp_path: Path) -> None:
    assert rows_of(tmp_path, []) == []
    assert rows_of(tmp_path, [1]) == []  # there is no older issue


def segments_of_one_issue(folder: Path) -> list[Segment]:
    """A segment for each of the first four issues."""
    return [
        segment(folder / str(number), [dict(ISSUES[number])], VECTORS[[number]], bodies=[BODIES[number]])
        for number in range(4)
    ]


def test_segments_are_searched_together(tmp_path: Path) -> None:
    segments = segments_of_one_issue(tmp_path)
    issues = pa.Table.from_pylist([dict(ISSUES[3])], schema=SEGMENTS.schema)
    issues = issues.append_column("body", pa.array([BODIES[3]]))
    lists = find_lists(segments, issues, VECTORS[[3]], 0, 10, Index())
    rows = neighbour_rows(issues, segments, lists, 0.2).to_pylist()
    assert rows == rows_of(tmp_path / "one", [4])


def test_no_large_file_of_a_segment_stays_mapped(tmp_path: Path) -> None:
    segments = segments_of_one_issue(tmp_path)
    issues = pa.Table.from_pylist([dict(ISSUES[3])], schema=SEGMENTS.schema)
    lists = find_lists(segments, issues, VECTORS[[3]], 0, 10, Index())
    assert (len(lists.queries), mapped_files(tmp_path)) == (5, set())
