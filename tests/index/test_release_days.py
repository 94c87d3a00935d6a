"""The days of a release as the index reads them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.index.release_days import days_of_release, read_items, repository_groups
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from tests.stages.literal_releases import embedded_release

DAYS = {
    "2015-01-01": {1: [1, 0], 2: [1, 1]},
    "2015-01-02": {2: [1, 1], 3: [0, 1], 4: [0, 0], 5: [-1, 0]},
}


def release(folder: Path) -> Pinned:
    """A release of two days with the issues 1 to 5. Issue 2 is a duplicate opening on the second day. Issue 4
    has a zero vector, because the model knows none of its words."""
    return embedded_release(Lake(str(folder)), DAYS, repos={1: "a/b", 3: "c/d"})


def test_items_are_issues_without_duplicate_openings_and_without_zero_vectors(tmp_path: Path) -> None:
    opened = release(tmp_path)
    items, vectors = read_items(opened.lake, days_of_release(opened), 2)
    assert items.column("issue_id").to_pylist() == [1, 2, 3, 5]
    assert items.column("day").to_pylist() == [date(2015, 1, 1)] * 2 + [date(2015, 1, 2)] * 2
    assert vectors.tolist() == [[1, 0], [1, 1], [0, 1], [-1, 0]]
    assert vectors.dtype == np.float16


def test_the_issues_of_a_day_are_counted_without_duplicate_openings(tmp_path: Path) -> None:
    assert [day.issue_count for day in days_of_release(release(tmp_path))] == [2, 3]


def test_every_repository_belongs_to_one_group(tmp_path: Path) -> None:
    opened = release(tmp_path)
    groups = [read_items(opened.lake, days_of_release(opened), 2, group, 2)[0] for group in range(2)]
    repos = [set(items.column("repo").to_pylist()) for items in groups]
    assert set.union(*repos) == {"a/b", "c/d", "rust-lang/rust"}
    assert set.intersection(*repos) == set()
    assert sum(len(items) for items in groups) == 4


def test_the_group_of_a_repository_depends_on_its_name_only() -> None:
    repos = pa.chunked_array([["a/b", "c/d"], ["a/b", "rust-lang/rust"]])
    assert repository_groups(repos, 5).tolist() == [3, 1, 3, 4]
