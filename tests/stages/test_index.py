"""index: embeddings in; the index of a release, its recall, and the older neighbours of each issue out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.contracts import INDEX, SIMILAR_ISSUES
from pipeline.errors import StoppedError, UsageError
from pipeline.index.release_index import read_items
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.settings import Index
from pipeline.stages import index
from tests.stages.literal_models import add_model
from tests.stages.literal_releases import embedded_release

DAYS = {"2015-01-01": {1: [1, 0], 2: [1, 1]}, "2015-01-02": {3: [0, 1], 4: [0, 0]}}


def neighbours(release: Pinned) -> list[tuple[Any, ...]]:
    """Rows of similar_issues_v1: the issue, the rank, the neighbour, whether it is a near-duplicate."""
    columns = ("issue_id", "rank", "similar_issue_id", "near_duplicate")
    return [
        tuple(row[column] for column in columns)
        for manifest in release.members[SIMILAR_ISSUES.name]
        for row in release.lake.read(manifest, SIMILAR_ISSUES).to_pylist()
    ]


def test_the_neighbours_of_an_issue_are_the_older_ones_nearest_first(tmp_path: Path) -> None:
    release = embedded_release(Lake(str(tmp_path)), DAYS)
    manifest = index.run(release.lake, release, Index())
    assert manifest.figures == {"items": 3, "size": 2, "recall_at_10": 1.0, "recall_queries": 3}
    assert read_items(release.lake, manifest).column("issue_id").to_pylist() == [1, 2, 3]  # 4 has no vector
    assert neighbours(release) == [(2, 1, 1, True), (3, 1, 2, True), (3, 2, 1, False)]


def test_a_rerun_returns_the_same_batch(tmp_path: Path) -> None:
    release = embedded_release(Lake(str(tmp_path)), DAYS)
    first = index.run(release.lake, release, Index())
    assert index.run(release.lake, release, Index()) == first
    assert release.members.folders(INDEX) == [first.folder]


def test_the_next_release_builds_an_index_and_reuses_the_neighbours_of_earlier_days(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    first = embedded_release(lake, {"2015-01-01": DAYS["2015-01-01"]}, "first")
    second = embedded_release(lake, DAYS, "second")
    indexes = [index.run(lake, release, Index()) for release in (first, second)]
    assert [manifest.figures["items"] for manifest in indexes] == [2, 3]
    (earlier_day,) = first.members.folders(SIMILAR_ISSUES.name)
    assert second.members.folders(SIMILAR_ISSUES.name)[0] == earlier_day


def test_an_index_with_too_low_a_recall_stores_no_neighbours(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).normal(size=(300, 2)).round(3).tolist()
    release = embedded_release(Lake(str(tmp_path)), {"2015-01-01": dict(enumerate(vectors, start=1))})
    with pytest.raises(StoppedError, match=r"recall@10 over 200 issues is 0\.\d+, expected at least 0\.99"):
        index.run(release.lake, release, Index(trees=1, search_k=1, min_recall=0.99))
    assert (INDEX in release.members, SIMILAR_ISSUES.name in release.members) == (False, False)
    assert index.run(release.lake, release, Index()).figures["recall_at_10"] == 1.0
    assert len(neighbours(release)) == 2 * 300 - 3  # the oldest issue has no neighbour, the second has one


def test_a_release_without_embeddings_is_refused(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    release = Pinned(lake, "releases", "r")
    release.open([], {"predictor": add_model(lake).folder})
    with pytest.raises(
        UsageError, match=r"r has no embeddings_v1 yet\.\nRun first: titler embed --release r"
    ):
        index.run(lake, release, Index())
