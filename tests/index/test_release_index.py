"""The index of a release in the lake: its items are issues, which can be found by URL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.contracts import INDEX
from pipeline.errors import UsageError
from pipeline.index import annoy_index
from pipeline.index.annoy_index import Index
from pipeline.index.release_index import (
    INDEX_FILE,
    ITEMS_FILE,
    find_item,
    items_of_release,
    items_to_parquet,
    nearest_others,
    open_index,
    read_items,
)
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from tests.stages.literal_releases import embedded_release


@pytest.fixture
def release(tmp_path: Path) -> Pinned:
    """A release of two days with the issues 1 to 5. Issue 2 is a duplicate opening on the second day. Issue 4
    has a zero vector, because the model knows none of its words."""
    days = {
        "2015-01-01": {1: [1, 0], 2: [1, 1]},
        "2015-01-02": {2: [1, 1], 3: [0, 1], 4: [0, 0], 5: [-1, 0]},
    }
    return embedded_release(Lake(str(tmp_path / "lake")), days)


def url_of(number: int) -> str:
    return f"https://github.com/rust-lang/rust/issues/{number}"


def test_items_are_issues_without_duplicate_openings_and_without_zero_vectors(release: Pinned) -> None:
    items, vectors = items_of_release(release.lake, release, 2)
    assert items.column("issue_id").to_pylist() == [1, 2, 3, 5]
    assert items.column("day").to_pylist() == ["2015-01-01", "2015-01-01", "2015-01-02", "2015-01-02"]
    assert vectors.tolist() == [[1, 0], [1, 1], [0, 1], [-1, 0]]
    assert vectors.dtype == np.float32


def test_a_stored_index_is_opened_with_its_items(release: Pinned, tmp_path: Path) -> None:
    items, vectors = items_of_release(release.lake, release, 2)
    annoy_index.build([vectors], 2, tmp_path / INDEX_FILE, trees=3, seed=1)
    draft = release.lake.draft(INDEX, {"release": "r"})
    draft.write_file(INDEX_FILE, (tmp_path / INDEX_FILE).read_bytes())
    draft.write_file(ITEMS_FILE, items_to_parquet(items), len(items))
    manifest = draft.commit({"size": 2})
    assert read_items(release.lake, manifest) == items
    with release.lake.local_copy(manifest) as folder:
        assert open_index(folder, manifest).vector(2).tolist() == [0, 1]


def test_an_issue_is_found_by_its_url(release: Pinned) -> None:
    items, _ = items_of_release(release.lake, release, 2)
    assert find_item(release, items, url_of(3)) == 2


def test_an_issue_with_a_zero_vector_is_refused_with_the_reason(release: Pinned) -> None:
    items, _ = items_of_release(release.lake, release, 2)
    with pytest.raises(
        UsageError, match=r"The text of .*issues/4 contains no word of the model's vocabulary"
    ):
        find_item(release, items, url_of(4))


def test_an_issue_that_is_not_in_the_release_is_refused(release: Pinned) -> None:
    items, _ = items_of_release(release.lake, release, 2)
    with pytest.raises(UsageError, match=r"issues/6 is not in release r\."):
        find_item(release, items, url_of(6))


@pytest.fixture
def index(tmp_path: Path) -> Index:
    vectors = np.array([[1, 0], [1, 1], [0, 1]], dtype=np.float32)
    annoy_index.build([vectors], 2, tmp_path / "a.ann", trees=3, seed=1)
    return Index(tmp_path / "a.ann", 2)


def test_an_issue_is_not_its_own_neighbour(index: Index) -> None:
    assert [item for item, _ in nearest_others(index, index.vector(0), 0, 1, 100)] == [1]


def test_all_other_items_are_returned_if_there_are_fewer_than_wanted(index: Index) -> None:
    assert [item for item, _ in nearest_others(index, index.vector(0), 0, 1000, 100)] == [1, 2]


def test_no_item_is_left_out_if_the_query_is_a_text(index: Index) -> None:
    assert [item for item, _ in nearest_others(index, index.vector(0), None, 1000, 100)] == [0, 1, 2]
