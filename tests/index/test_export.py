"""titler export: a release as one Annoy index, which plain Annoy opens."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from annoy import AnnoyIndex

from pipeline.contracts import INDEX
from pipeline.errors import UsageError
from pipeline.index.export import export_index
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.settings import Index, Settings
from pipeline.stages import index
from tests.stages.literal_releases import embedded_release

DAYS = {
    "2014-12-31": {1: [1, 0]},
    "2015-01-01": {2: [1, 1], 3: [0, 2]},
    "2015-02-01": {4: [-1, 0]},
}


@pytest.fixture
def release(tmp_path: Path) -> Pinned:
    release = embedded_release(Lake(str(tmp_path / "lake")), DAYS)
    index.run(release.lake, release, Settings())
    return release


def test_a_whole_release_is_one_index_with_the_issue_of_each_item(release: Pinned, tmp_path: Path) -> None:
    assert export_index(release, Index(), tmp_path / "out", None, None) == 4
    ids = pq.read_table(tmp_path / "out" / "ids.parquet")
    assert ids.column_names == ["issue_id", "issue_url", "repo", "title", "created_at", "day"]
    assert ids.column("issue_id").to_pylist() == [1, 2, 3, 4]
    assert ids.slice(2, 1).to_pylist()[0]["day"] == "2015-01-01"
    annoy = AnnoyIndex(2, "angular")
    annoy.load(str(tmp_path / "out" / "issues.ann"))
    assert annoy.get_n_items() == 4
    assert [annoy.get_item_vector(item) for item in range(4)] == [[1, 0], [1, 1], [0, 2], [-1, 0]]
    assert annoy.get_nns_by_vector([1, 0.1], 4) == [0, 1, 2, 3]


def test_a_range_of_days_may_be_chosen(release: Pinned, tmp_path: Path) -> None:
    assert export_index(release, Index(), tmp_path, date(2015, 1, 1), date(2015, 1, 31)) == 2
    assert pq.read_table(tmp_path / "ids.parquet").column("issue_id").to_pylist() == [2, 3]


def test_days_without_issues_are_refused(release: Pinned, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The index of release r has no issue in the given range"):
        export_index(release, Index(), tmp_path, date(2016, 1, 1), None)


@pytest.mark.parametrize("folder", ["out", "out/index"])
def test_a_file_in_the_place_of_the_folder_is_named(release: Pinned, tmp_path: Path, folder: str) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match=r"cannot be created, because .* is a file"):
        export_index(release, Index(), tmp_path / folder, None, None)


def test_the_index_of_an_earlier_version_is_one_file_already(tmp_path: Path) -> None:
    release = embedded_release(Lake(str(tmp_path)), DAYS)
    batch = release.lake.draft(INDEX, {"release": "r"}).commit()
    release.members.put(INDEX, [batch])
    with pytest.raises(UsageError, match=f"Copy the files issues.ann and ids.parquet from .*{batch.folder}"):
        export_index(release, Index(), tmp_path, None, None)
