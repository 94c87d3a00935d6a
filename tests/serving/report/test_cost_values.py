"""The time and the cost of a release."""

from __future__ import annotations

from pathlib import Path

from pipeline.contracts import ISSUES, VECTORS
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pages import write_pages
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay, day_pages
from pipeline.serving.report.cost_values import extraction_cost, verb_usages
from pipeline.serving.report.values import ExtractionCost
from pipeline.stages.recounted_words import RECOUNTED_FROM
from pipeline.usage import Stopwatch


def extracted(lake: Lake, day: str, billed: int | None) -> Manifest:
    """The issues of a day. BigQuery billed `billed` bytes for them, or they come from hour files."""
    cost = {} if billed is None else {"cost": {"bytes_billed": billed, "usd": billed / 1000}}
    return lake.draft(ISSUES.name, {"day": day}).commit(cost)


def release_with(folder: Path, *billed: int | None) -> Pinned:
    release = Pinned(Lake(str(folder)), "releases", "r")
    days = [extracted(release.lake, f"2024-01-0{number}", bytes_) for number, bytes_ in enumerate(billed, 1)]
    release.members.put(ISSUES.name, days)
    return release


def test_the_usage_of_a_verb_is_recorded_with_its_batches(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    release = Pinned(lake, "releases", "r")
    release.members.stopwatch = Stopwatch()
    release.members.put(VECTORS.name, [lake.draft(VECTORS.name, {"day": "2024-01-01"}).commit()])
    (vectorize,) = verb_usages(Pinned(lake, "releases", "r"))
    assert (vectorize.verb, vectorize.usage.peak_mib > 1) == ("vectorize", True)


def test_a_release_of_an_earlier_version_has_no_usage(tmp_path: Path) -> None:
    assert verb_usages(release_with(tmp_path, None)) == ()


def test_the_billed_bytes_of_all_days_of_a_first_release_are_added_up(tmp_path: Path) -> None:
    release = release_with(tmp_path, 4000, 500, None)
    assert extraction_cost(release, None) == ExtractionCost(2, 4500, 4.5)


def release_before(release: Pinned, days: int) -> Pinned:
    """A release with the first `days` days of `release`."""
    previous = Pinned(release.lake, "releases", "previous")
    batches = release.members[ISSUES.name][:days]
    planned = [PinnedDay(batch.day, batch.folder, "", "", batch.digest, "", "") for batch in batches]
    previous.open_pages(write_pages(release.lake, day_pages(planned, {})), {})
    return previous


def test_days_that_the_release_before_has_do_not_count(tmp_path: Path) -> None:
    release = release_with(tmp_path, 4000, 500)
    assert extraction_cost(release, release_before(release, 1)) == ExtractionCost(1, 500, 0.5)
    assert extraction_cost(release, release_before(release, 2)) is None


def test_a_day_whose_words_were_only_counted_again_does_not_count(tmp_path: Path) -> None:
    release = release_with(tmp_path, 4000, 500)
    previous = release_before(release, 1)
    first, second = release.members[ISSUES.name]
    recounted = release.lake.draft(ISSUES.name, {"day": second.day}).commit(
        {**second.figures, RECOUNTED_FROM: second.batch_id}
    )
    release.members.put(ISSUES.name, [first, recounted])
    assert extraction_cost(release, previous) is None
    assert extraction_cost(release, None) == ExtractionCost(2, 4500, 4.5)


def test_the_cost_is_unknown_if_the_release_before_was_removed(tmp_path: Path) -> None:
    release = release_with(tmp_path, 4000)
    assert extraction_cost(release, Pinned(release.lake, "releases", "removed")) is None


def test_days_from_hour_files_cost_nothing(tmp_path: Path) -> None:
    assert extraction_cost(release_with(tmp_path, None), None) is None
