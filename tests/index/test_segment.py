"""A segment: issues sorted by repository and age, in named columns that are read when they are needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.contracts import SEGMENTS
from pipeline.errors import LakeError
from pipeline.index.segment import Segment
from tests.index.literal_segments import ANNOY, random_vectors, row, segment

ROWS = [row(5, "c/d", hour=3), row(3, "a/b", hour=2), row(4, "c/d", hour=1), row(2, "a/b", hour=2)]
VECTORS = [[1, 0], [0, 1], [1, 1], [0, 2]]


@pytest.fixture
def written(tmp_path: Path) -> Segment:
    return segment(tmp_path, ROWS, VECTORS)


def ids(segment: Segment) -> list[int]:
    return segment.issue_ids.tolist()


def test_items_are_sorted_by_repository_and_then_age_and_have_their_vectors(written: Segment) -> None:
    assert ids(written) == [2, 3, 4, 5]
    assert written.vectors.tolist() == [[0, 2], [0, 1], [1, 1], [1, 0]]
    assert written.vectors.dtype == np.float16
    assert (written.first_created_at, written.last_created_at) == (
        written.created_at.min(),
        written.created_at.max(),
    )
    assert written.source_days.tolist() == [16436] * 4  # 2015-01-01


def test_the_issues_of_a_repository_are_consecutive(written: Segment) -> None:
    assert [list(written.of_repository(repo)) for repo in ("a/b", "c/d", "e/f")] == [[0, 1], [2, 3], []]


def test_rows_are_read_by_position_in_any_order_and_more_than_once(tmp_path: Path) -> None:
    count = 2 * SEGMENTS.rows_per_row_group + 3
    large = segment(tmp_path, [row(number) for number in range(count)], np.ones((count, 1)))
    items = np.array([count - 1, 0, SEGMENTS.rows_per_row_group, 0])
    assert large.rows(items, ["issue_id", "title"]).to_pylist() == [
        {"issue_id": item, "title": f"t{item}"} for item in items.tolist()
    ]
    assert large.rows(items[:0], ["title"]).to_pylist() == []
    assert large.row(count - 1, ["issue_id", "title"]) == {"issue_id": count - 1, "title": f"t{count - 1}"}


def test_only_a_segment_with_settings_for_annoy_has_an_annoy_index(tmp_path: Path) -> None:
    segment(tmp_path / "small", ROWS, VECTORS)
    large = segment(tmp_path / "large", ROWS, VECTORS, ANNOY)
    assert not (tmp_path / "small" / "issues.ann").exists()
    assert [large.annoy.vector(item).tolist() for item in range(4)] == large.vectors.tolist()


def test_the_same_issues_give_the_same_bytes_in_whatever_order_they_come(tmp_path: Path) -> None:
    segment(tmp_path / "a", ROWS, VECTORS, ANNOY)
    segment(tmp_path / "b", ROWS[::-1], VECTORS[::-1], ANNOY)
    files = {
        folder: {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} for folder in "ab"
    }
    assert files["a"] == files["b"]
    assert sorted(files["a"]) == [
        "created_at.npy",
        "issue_id.npy",
        "issues.ann",
        "item_terms.npy",
        "items.parquet",
        "repositories.parquet",
        "source_day.npy",
        "terms.npy",
        "vectors.npy",
    ]


def test_opening_a_segment_opens_none_of_its_files(tmp_path: Path) -> None:
    written = segment(tmp_path, ROWS, VECTORS)
    for path in tmp_path.iterdir():
        path.unlink()
    assert written.items == 4


def test_a_segment_may_be_empty(tmp_path: Path) -> None:
    empty = segment(tmp_path, [], np.empty((0, 2)))
    assert (empty.items, empty.vectors.shape, list(empty.of_repository("a/b"))) == (0, (0, 2), [])


def test_a_file_with_another_number_of_items_is_damaged(written: Segment, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", random_vectors(3, 2))
    with pytest.raises(
        LakeError, match=r"vectors.npy is damaged: it has the shape \(3, 2\) and the type float16, "
    ):
        _ = written.vectors


@pytest.mark.parametrize("name", ["vectors.npy", "items.parquet", "repositories.parquet"])
def test_a_file_that_is_no_table_and_no_array_is_damaged(written: Segment, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"123")
    with pytest.raises(LakeError, match="is damaged"):
        _ = written.vectors, written.of_repository("a/b"), written.rows(np.array([0]), ["title"])
