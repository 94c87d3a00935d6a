"""Reading the records of published releases."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.records import RECORD, published_records, read_record
from pipeline.settings import LakeSettings, Settings
from tests.support.release_records import release_record


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with three releases, published in the order c, a, b, and one that was never published."""
    lake = Lake(str(tmp_path / "lake"))
    for hour, name in enumerate(("c", "a", "b"), start=1):
        published_at = f"2015-01-04T0{hour}:00:00+00:00"
        Pinned(lake, "releases", name).notes[RECORD] = release_record(name, published_at)
    Pinned(lake, "releases", "unpublished").open([], {})
    return lake


def test_a_release_that_was_never_published_has_no_record(lake: Lake) -> None:
    assert read_record(lake, "unpublished") is None
    assert read_record(lake, "unknown") is None
    assert read_record(lake, "a") == release_record("a", "2015-01-04T02:00:00+00:00")


def test_records_are_ordered_by_when_their_releases_last_became_current(lake: Lake) -> None:
    records = published_records(lake, Settings(lake=LakeSettings(root=lake.root)))
    assert [record["release_id"] for record in records] == ["c", "a", "b"]
