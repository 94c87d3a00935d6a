"""Building a segment: the same files, whether or not an earlier segment has most of its items."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.index.release_days import days_of_release
from pipeline.index.segment_build import SegmentToBuild, build_segment
from pipeline.index.segment_plan import plan_segments
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import File, Manifest
from pipeline.settings import Index
from tests.stages.literal_releases import Days, embedded_release

MONTH: dict[str, dict[int, list[float]]] = {
    "2015-01-01": {1: [1, 0], 2: [1, 1]},
    "2015-01-02": {3: [0, 1], 4: [0, 0]},
    "2015-01-03": {5: [1, 2], 6: [-1, 0]},
}
REPOS = {1: "a/b", 3: "c/d", 5: "a/b"}


def segments(lake: Lake, days: Days, earlier: dict[str, Manifest], **settings: int) -> dict[str, Manifest]:
    """The segments of a release of these days, by their repositories. `earlier` are those of a release
    before."""
    release = embedded_release(lake, days, f"r{len(lake.names('releases'))}", repos=REPOS)
    options = Index(**settings)
    return {
        plan.partition("m")["repositories"]: build_segment(
            SegmentToBuild(plan, earlier.get(plan.partition("m")["repositories"])), lake, "m", 2, options
        )
        for plan in plan_segments(days_of_release(release), options)
    }


def digests(built: dict[str, Manifest]) -> dict[str, dict[str, str]]:
    return {name: {file.name: file.sha256 for file in batch.files} for name, batch in built.items()}


@pytest.mark.parametrize(
    "before",
    [
        {day: MONTH[day] for day in ("2015-01-01", "2015-01-02")},
        {day: MONTH[day] for day in ("2015-01-01", "2015-01-03")},
        MONTH | {"2015-01-02": {3: [5, 5], 7: [1, 1]}},  # the day had other issues
        MONTH | {"2015-01-04": {8: [1, 1]}},  # a day that the release has no longer
        MONTH | {"2014-12-31": {6: [-1, 0]}},  # issue 6 was a duplicate opening on the third day
        {"2015-01-04": {8: [1, 1]}},
    ],
    ids=["a new day", "a day in between", "a changed day", "a day less", "another duplicate", "no day"],
)
@pytest.mark.parametrize("settings", [{}, {"segment_items": 3}, {"exact_items": 1}], ids=str)
def test_the_files_are_the_same_with_and_without_an_earlier_segment(
    tmp_path: Path, before: Days, settings: dict[str, int]
) -> None:
    lake = Lake(str(tmp_path))
    earlier = segments(lake, before, {}, **settings)
    built = segments(lake, MONTH, earlier, **settings)
    assert digests(built) == digests(segments(lake, MONTH, {}, **settings))


def test_only_the_files_of_days_that_the_earlier_segment_lacks_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(str(tmp_path))
    earlier = segments(lake, {day: MONTH[day] for day in ("2015-01-01", "2015-01-02")}, {})
    release = embedded_release(lake, MONTH, "night", repos=REPOS)
    (plan,) = plan_segments(days_of_release(release), Index())
    read: set[str] = set()
    read_file = Lake.read_file

    def record_and_read(lake: Lake, manifest: Manifest, file: File) -> bytes:
        read.add(manifest.day)
        return read_file(lake, manifest, file)

    monkeypatch.setattr(Lake, "read_file", record_and_read)
    build_segment(SegmentToBuild(plan, earlier["1-of-1"]), lake, "m", 2, Index())
    assert read == {"2015-01-03"}
