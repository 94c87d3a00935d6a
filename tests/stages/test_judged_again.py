"""Verdicts of days that came in another order than the calendar's, as in a backfill whose tasks are tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import ISSUES, SOURCE_HEALTH
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.source.verdict_history import VerdictHistory, judge_all_again, judge_day

DAYS = [f"2015-01-{number:02d}" for number in range(1, 11)]
EVENTS = {**dict.fromkeys(DAYS, 1000), "2015-01-10": 60}


def issues_of(lake: Lake, day: str, events: int) -> Manifest:
    draft = lake.draft(ISSUES.name, {"day": day})
    draft.write_file("part-00000.parquet", str(events).encode())
    return draft.commit(
        {"hours_found": 24, "hours_missing": [], "events": events, "malformed": 0, "trainable": 0}
    )


def ingested(folder: Path, days: list[str]) -> Lake:
    """A lake into which these days came in this order, each judged by those before."""
    lake = Lake(str(folder))
    for day in days:
        judge_day(lake, issues_of(lake, day, EVENTS[day]), VerdictHistory(lake))
    return lake


def rows(lake: Lake) -> list[dict[str, Any]]:
    found = [lake.current(SOURCE_HEALTH.name, {"day": day}) for day in DAYS]
    return [row for health in found if health for row in lake.read(health, SOURCE_HEALTH).to_pylist()]


def verdict(lake: Lake, day: str) -> Any:
    return next(row["verdict"] for row in rows(lake) if str(row["day"]) == day)


def test_a_collapse_is_seen_once_the_days_before_it_are_there(tmp_path: Path) -> None:
    lake = ingested(tmp_path, ["2015-01-10", *DAYS[:9]])
    assert verdict(lake, "2015-01-10") == "complete"
    assert judge_all_again(lake) == ("2015-01-10",)
    assert verdict(lake, "2015-01-10") == "collapsed"


@pytest.mark.parametrize(
    "order",
    [DAYS[::-1], DAYS[5:] + DAYS[:5], DAYS[::2] + DAYS[1::2]],
    ids=["backwards", "halves", "alternating"],
)
def test_the_order_in_which_days_came_does_not_matter(tmp_path: Path, order: list[str]) -> None:
    lake = ingested(tmp_path / "any", order)
    judge_all_again(lake)
    assert rows(lake) == rows(ingested(tmp_path / "calendar", DAYS))


def test_what_was_judged_in_the_order_of_the_days_stays_as_it_is(tmp_path: Path) -> None:
    lake = ingested(tmp_path, DAYS)
    assert judge_all_again(lake) == ()


def test_a_day_that_is_being_extracted_again_is_left_to_its_extraction(tmp_path: Path) -> None:
    lake = ingested(tmp_path, ["2015-01-10", *DAYS[:9]])
    issues_of(lake, "2015-01-10", 900)
    assert judge_all_again(lake) == ()
    assert verdict(lake, "2015-01-10") == "complete"
