"""Duplicate marks and published lists in; recall, and the precision of suggestions, out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.index.marked_duplicates import (
    MarkedPair,
    StoredPair,
    find_pairs,
    issue_number,
    marked_pairs,
    sample_repositories,
    score_pairs,
)
from tests.index.literal_segments import random_vectors, row, segment

URL = "https://github.com/a/b/issues/"


def mark(number: int, of: int, **changes: Any) -> dict[str, Any]:
    row = {"repo": "a/b", "number": number, "duplicate_of_repo": "a/b", "duplicate_of_number": of}
    return {**row, "said_by": "member", **changes}


def test_a_pair_is_of_one_repository_and_counts_once_in_whichever_order_it_is_marked() -> None:
    marks = [
        mark(12, of=3),
        mark(3, of=12, said_by="author"),
        mark(7, of=5, duplicate_of_repo="A/B", said_by=None),
        mark(8, of=5, duplicate_of_repo="c/d"),  # of two repositories
        mark(9, of=5, said_by="bot"),  # a program's opinion
        mark(6, of=6),
    ]
    tables = [pa.Table.from_pylist(marks[:1]), pa.Table.from_pylist(marks[1:])]
    assert marked_pairs(tables) == [MarkedPair("a/b", 7, 5), MarkedPair("a/b", 12, 3)]


def test_a_sample_has_whole_repositories_and_does_not_depend_on_the_others() -> None:
    pairs = [MarkedPair(repo, newer, 1) for repo in ("a/a", "b/b", "c/c", "d/d") for newer in (2, 3)]
    sample = sample_repositories(pairs, 3)
    assert len(sample) == 4
    assert sample_repositories(sample, 4) == sample
    assert sample_repositories(pairs, 8) == pairs


class OpenedFolder:
    """The folder of a segment, and the names of its files that were opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened = set[str]()

    def path_of(self, name: str) -> Path:
        self.opened.add(name)
        return self.folder / name


@pytest.mark.parametrize(
    ("pairs", "stored_pairs", "files_read"),
    [
        ([(5, 3), (6, 5)], [(5, 3), (6, 5)], [0, 2, 2]),
        ([(6, 5)], [(6, 5)], [0, 0, 2]),
        ([(6, 99)], [(6, None)], [2, 2, 2]),  # the older issue is in no segment
        ([(3, 1), (4, 3), (7, 5)], [], [0, 0, 2]),  # the newer one is of an earlier day, or in no segment
    ],
)
def test_older_segments_are_read_only_until_the_older_issue_of_each_pair_is_found(
    tmp_path: Path,
    pairs: list[tuple[int, int]],
    stored_pairs: list[tuple[int, int | None]],
    files_read: list[int],
) -> None:
    rows = [[row(1), row(2)], [row(3)], [row(4, day=2), row(5, day=3), row(6, day=3), row(8, "c/d", day=3)]]
    folders = [OpenedFolder(tmp_path / str(number)) for number in range(len(rows))]
    segments = []
    for folder, of_segment in zip(folders, rows, strict=True):
        written = segment(folder.folder, of_segment, random_vectors(len(of_segment)))
        written._path_of = folder.path_of
        segments.append(written)
    stored_in_index = find_pairs(segments, [MarkedPair("a/b", *pair) for pair in pairs], first_day=16436 + 2)
    assert stored_in_index == [stored(*pair) for pair in stored_pairs]
    assert [len(folder.opened) for folder in folders] == files_read


def listed(number: int, rank: int, similar: int, probability: float, **changes: Any) -> dict[str, Any]:
    row = {"issue_url": f"{URL}{number}", "list": "repository", "rank": rank}
    return {**row, "similar_issue_url": f"{URL}{similar}", "probability": probability, **changes}


def stored(newer: int, older: int | None) -> StoredPair:
    return StoredPair(f"{URL}{newer}", f"{URL}{older}" if older else None)


def test_recall_counts_pairs_and_precision_counts_suggestions_of_all_issues_of_their_repositories() -> None:
    first_day = [
        listed(10, 1, 2, 0.9),  # marked, suggested
        listed(10, 2, 3, 0.4),
        listed(11, 1, 9, 0.8),  # an issue without a mark: suggested, counts as wrong
        listed(12, 1, 9, 0.2),
        listed(12, 4, 5, 0.1),  # marked, not suggested
        listed(12, 1, 5, 0.9, list="everywhere"),  # not of the list that is measured
    ]
    elsewhere = "https://github.com/c/d/issues/1"
    second_day = [
        listed(20, 10, 2, 0.1),  # marked, the last of the list
        listed(21, 1, 9, 0.3),  # marked with 1, which is not listed
        listed(30, 1, 2, 0.9, issue_url=elsewhere),  # of a repository without marks
    ]
    pairs = [stored(10, 2), stored(12, 5), stored(20, 2), stored(21, 1), stored(22, None)]
    lists = [pa.Table.from_pylist(rows) for rows in (first_day, second_day)]
    assert score_pairs(pairs, lists, min_probability=0.8) == {
        "pairs": 4,
        "pairs_without_older": 1,
        "recall_at_1": 0.25,
        "recall_at_5": 0.5,
        "recall_at_10": 0.75,
        "suggested": 2,
        "suggested_marked": 1,
        "precision": 0.5,
    }


def test_without_a_suggestion_there_is_no_precision_and_without_a_pair_nothing() -> None:
    figures = score_pairs([stored(10, 2)], [pa.Table.from_pylist([listed(10, 1, 2, 0.9)])], 0.95)
    assert figures is not None
    assert (figures["recall_at_1"], figures["suggested"], figures["precision"]) == (1.0, 0, None)
    assert score_pairs([stored(10, None)], [], 0.5) is None


@pytest.mark.parametrize(
    ("url", "number"), [(f"{URL}12", 12), ("https://example.org/browse/X-12", 0), ("", 0), (f"{URL}²", 0)]
)
def test_the_number_of_an_issue_is_the_end_of_its_address(url: str, number: int) -> None:
    assert issue_number(url) == number
