"""Verdicts in the lake, also if days are extracted out of order, as in a backfill with retries."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import ISSUES, SOURCE_HEALTH
from pipeline.lake.batches import Lake
from pipeline.lake.changed_days import list_changes
from pipeline.lake.day_catalogue import CurrentHealth
from pipeline.lake.manifest import Manifest
from pipeline.source.day_verdict import JudgedDay
from pipeline.source.verdict_history import VerdictHistory, judge_again, judge_day

DAYS = [f"2015-01-{number:02d}" for number in range(1, 11)]
EVENTS = {**dict.fromkeys(DAYS, 1000), "2015-01-10": 60}


def write_issues(lake: Lake, day: str, events: int, **figures: Any) -> Manifest:
    draft = lake.draft(ISSUES.name, {"day": day})
    draft.write_file("part-00000.parquet", str(events).encode())
    return draft.commit(
        {"hours_found": 24, "hours_missing": [], "events": events, "malformed": 0, "trainable": 0, **figures}
    )


def lake_of(folder: Path, days: list[str]) -> Lake:
    """A lake into which `days` were extracted in this order. Each was judged when it was extracted."""
    lake = Lake(str(folder))
    for day in days:
        judge_day(lake, write_issues(lake, day, EVENTS[day]), VerdictHistory(CurrentHealth(lake)))
    return lake


def health_rows(lake: Lake) -> list[dict[str, Any]]:
    manifests = [lake.current(SOURCE_HEALTH.name, {"day": day}) for day in DAYS]
    return [row for health in manifests if health for row in lake.read(health, SOURCE_HEALTH).to_pylist()]


def verdict(lake: Lake, day: str) -> Any:
    return next(row["verdict"] for row in health_rows(lake) if str(row["day"]) == day)


def test_the_history_has_the_days_of_the_lake_and_the_added_days(tmp_path: Path) -> None:
    history = VerdictHistory(CurrentHealth(lake_of(tmp_path, DAYS[:1])))
    history.add(date(2015, 1, 5), {"verdict": "partial", "events": 7, "issues": 2})
    assert dict(history) == {
        date(2015, 1, 1): JudgedDay("complete", 1000, 0),
        date(2015, 1, 5): JudgedDay("partial", 7, 2),
    }
    assert history.get(date(2015, 1, 2)) is None
    assert len(history) == 2


def test_judging_a_day_twice_with_the_same_result_writes_one_batch(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    issues = write_issues(lake, "2015-01-01", 1000)
    judge_day(lake, issues, VerdictHistory(CurrentHealth(lake)))
    first = lake.current(SOURCE_HEALTH.name, {"day": "2015-01-01"})
    judge_day(lake, issues, VerdictHistory(CurrentHealth(lake)))
    assert lake.current(SOURCE_HEALTH.name, {"day": "2015-01-01"}) == first


def test_a_collapse_is_detected_after_earlier_days_were_extracted(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, ["2015-01-10", *DAYS[:9]])
    assert verdict(lake, "2015-01-10") == "complete"
    assert judge_again(lake, list_changes(lake)) == ("2015-01-10",)
    assert verdict(lake, "2015-01-10") == "collapsed"


@pytest.mark.parametrize(
    "order",
    [DAYS[::-1], DAYS[5:] + DAYS[:5], DAYS[::2] + DAYS[1::2]],
    ids=["backwards", "halves", "alternating"],
)
def test_the_order_in_which_days_are_extracted_does_not_matter(tmp_path: Path, order: list[str]) -> None:
    lake = lake_of(tmp_path / "any", order)
    judge_again(lake, list_changes(lake))
    assert health_rows(lake) == health_rows(lake_of(tmp_path / "calendar", DAYS))


def judge_hours(lake: Lake, day: str, events_per_hour: list[int]) -> None:
    issues = write_issues(lake, day, 2400, events_per_hour=events_per_hour)
    judge_day(lake, issues, VerdictHistory(CurrentHealth(lake)))


def test_an_hour_that_collapsed_is_detected_after_earlier_days_were_extracted(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    judge_hours(lake, "2015-01-10", [1, *[100] * 23])
    for day in DAYS[:9]:
        judge_hours(lake, day, [100] * 24)
    assert verdict(lake, "2015-01-10") == "complete"
    assert judge_again(lake, list_changes(lake)) == ("2015-01-10",)
    row = health_rows(lake)[-1]
    assert (row["verdict"], row["reason"]) == ("partial", "1 event in hour 0 where 100 are usual")


def test_days_of_an_earlier_version_keep_their_verdicts(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, DAYS[:9])  # without counts per hour
    judge_hours(lake, "2015-01-10", [1, *[100] * 23])
    assert judge_again(lake, list_changes(lake)) == ()
    assert [row["verdict"] for row in health_rows(lake)] == ["complete"] * 10
    assert health_rows(lake)[0]["events_per_hour"] is None


def test_judging_again_changes_nothing_if_days_were_extracted_in_order(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, DAYS)
    assert judge_again(lake, list_changes(lake)) == ()


def test_a_day_that_is_being_extracted_again_is_not_judged_again(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, ["2015-01-10", *DAYS[:9]])
    write_issues(lake, "2015-01-10", 900)
    assert judge_again(lake, list_changes(lake)) == ()
    assert verdict(lake, "2015-01-10") == "complete"


def test_all_days_of_a_lake_without_a_catalogue_are_judged_again(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, ["2015-01-10"])
    for day in DAYS[:9]:
        judge_hours(lake, day, [100] * 24)
    lake.delete_folder("days")  # Titler 0.1 wrote no marks
    assert judge_again(lake, list_changes(lake)) == ("2015-01-10",)
