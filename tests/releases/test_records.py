"""The records of published releases, and which releases are retained."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.records import RECORD, published_records, read_record
from pipeline.releases.retention import retained_releases
from pipeline.settings import LakeSettings, Settings
from pipeline.settings import Release as ReleaseSettings


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with three published releases, in the order c, a, b, and one that was never published."""
    lake = Lake(str(tmp_path / "lake"))
    for hour, name in enumerate(("c", "a", "b"), start=1):
        published_at = f"2015-01-04T0{hour}:00:00+00:00"
        Pinned(lake, "releases", name).notes[RECORD] = {"release_id": name, "published_at": published_at}
    Pinned(lake, "releases", "unpublished").open([], {})
    return lake


def settings_of(lake: Lake, keep: int = 10) -> Settings:
    return Settings(lake=LakeSettings(root=lake.root), release=ReleaseSettings(keep=keep))


def test_a_release_that_was_never_published_has_no_record(lake: Lake) -> None:
    assert read_record(lake, "unpublished") is None
    assert read_record(lake, "unknown") is None
    assert read_record(lake, "a") == {"release_id": "a", "published_at": "2015-01-04T02:00:00+00:00"}


def test_records_are_in_the_order_in_which_they_last_became_current(lake: Lake) -> None:
    records = published_records(lake, settings_of(lake))
    assert [record["release_id"] for record in records] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("current", "keep", "retained"),
    [
        ("b", 10, ["b", "a", "c"]),
        ("b", 2, ["b", "a"]),
        ("b", 1, ["b"]),
        ("c", 2, ["c", "b"]),
        (None, 2, ["b"]),
    ],
)
def test_the_current_release_and_the_latest_others_are_retained(
    lake: Lake, current: str | None, keep: int, retained: list[str]
) -> None:
    assert retained_releases(lake, settings_of(lake, keep), current) == retained
