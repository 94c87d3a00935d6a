"""`titler collect` retains the current release and the latest others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.records import RECORD
from pipeline.releases.retention import retained_releases
from pipeline.settings import LakeSettings, Settings
from pipeline.settings import Release as ReleaseSettings
from tests.support.release_records import release_record


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
    tmp_path: Path, current: str | None, keep: int, retained: list[str]
) -> None:
    settings = Settings(lake=LakeSettings(root=str(tmp_path)), release=ReleaseSettings(keep=keep))
    lake = Lake(settings.lake.root)
    for hour, name in enumerate(("c", "a", "b"), start=1):  # the order in which they became current
        published_at = f"2015-01-04T0{hour}:00:00+00:00"
        Pinned(lake, "releases", name).notes[RECORD] = release_record(name, published_at)
    assert retained_releases(lake, settings, current) == retained
