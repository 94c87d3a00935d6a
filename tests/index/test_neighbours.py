"""The neighbours that a release stores for an issue: the nearest issues that were opened before it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contracts import SIMILAR_ISSUES
from pipeline.index import annoy_index, neighbours
from pipeline.index.annoy_index import Index, Vectors
from pipeline.index.neighbours import OlderNeighbours


def older_neighbours(folder: Path, vectors: Vectors, hours: list[int], ids: list[int] | None = None):
    """OlderNeighbours of items with these vectors, opened at these hours.

    Items 0 and 1 belong to one repository, the other items to another.
    """
    items = pa.table(
        {
            "issue_id": ids or [item + 1 for item in range(len(hours))],
            "issue_url": [f"u{item}" for item in range(len(hours))],
            "repo": ["a/b" if item < 2 else "c/d" for item in range(len(hours))],
            "title": [f"t{item}" for item in range(len(hours))],
            "created_at": pa.array(
                [datetime(2015, 1, 1, hour, tzinfo=UTC) for hour in hours], pa.timestamp("us", "UTC")
            ),
        }
    )
    size = vectors.shape[1]
    annoy_index.build([vectors], size, folder / "a.ann", trees=10, seed=1)
    return OlderNeighbours(items, vectors, Index(folder / "a.ann", size), search_k=-1)


VECTORS = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], dtype=np.float32)


def test_neighbours_are_older_and_ordered_by_distance(tmp_path: Path) -> None:
    older = older_neighbours(tmp_path, VECTORS, hours=[0, 1, 2, 3])
    assert older.nearest_older(0, 10) == []
    assert older.nearest_older(2, 10) == [(1, pytest.approx((2 - 2**0.5) ** 0.5)), (0, pytest.approx(2**0.5))]
    assert older.nearest_older(3, 1) == [(0, pytest.approx(0, abs=1e-3))]


def test_if_two_issues_were_opened_at_the_same_time_the_smaller_id_is_older(tmp_path: Path) -> None:
    older = older_neighbours(tmp_path, VECTORS[:2], hours=[5, 5], ids=[9, 8])
    assert [item for item, _ in older.nearest_older(0, 10)] == [1]
    assert older.nearest_older(1, 10) == []


def test_a_row_describes_the_issue_and_its_neighbour(tmp_path: Path) -> None:
    older = older_neighbours(tmp_path, VECTORS, hours=[0, 1, 2, 3])
    rows = list(older.rows(np.array([2]), neighbours=10, near_duplicate_distance=1.0))
    assert rows[0] == {
        "issue_id": 3,
        "issue_url": "u2",
        "rank": 1,
        "similar_issue_id": 2,
        "similar_issue_url": "u1",
        "similar_title": "t1",
        "distance": pytest.approx((2 - 2**0.5) ** 0.5),
        "same_repo": False,
        "near_duplicate": True,
    }
    assert [(row["rank"], row["similar_issue_id"], row["near_duplicate"]) for row in rows] == [
        (1, 2, True),
        (2, 1, False),
    ]
    table = pa.Table.from_pylist(rows, schema=SIMILAR_ISSUES.schema)
    assert SIMILAR_ISSUES.conform(table) == table


def test_neighbours_in_the_same_repository_are_marked(tmp_path: Path) -> None:
    older = older_neighbours(tmp_path, VECTORS, hours=[0, 1, 2, 3])
    rows = older.rows(np.array([1, 3]), neighbours=1, near_duplicate_distance=1.0)
    assert [(row["issue_id"], row["similar_issue_id"], row["same_repo"]) for row in rows] == [
        (2, 1, True),
        (4, 1, False),
    ]


def test_the_index_finds_the_same_neighbours_as_the_exact_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(60, 8)).astype(np.float32)
    hours = random.integers(0, 24, 60).tolist()
    exact = older_neighbours(tmp_path, vectors, hours)
    monkeypatch.setattr(neighbours, "EXACT_BELOW", 5)
    by_index = older_neighbours(tmp_path, vectors, hours)
    for item in range(60):
        expected = exact.nearest_older(item, 3)
        assert [other for other, _ in by_index.nearest_older(item, 3)] == [other for other, _ in expected]
