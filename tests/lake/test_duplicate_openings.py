"""If an issue has `opened` events in several days, only the earliest event counts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.duplicate_openings import duplicate_openings
from tests.stages.literal_issues import issue, issues

MONDAY, TUESDAY, WEDNESDAY = "2015-01-05", "2015-01-06", "2015-01-07"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def write_issues(lake: Lake, day: str, *openings: tuple[int, int, str]) -> tuple[str, str]:
    """Writes the issues_v1 of a day; returns the day and the folder of its batch.

    `openings` are (issue id, hour, event id). All events happen on the same date, whatever `day` is.
    """
    rows = [
        {**issue(number, "t", None), "created_at": datetime(2015, 1, 5, hour, tzinfo=UTC), "event_id": event}
        for number, hour, event in openings
    ]
    draft = lake.draft(ISSUES.name, {"day": day})
    draft.write_table("part-00000.parquet", issues(*rows), ISSUES)
    return day, draft.commit().folder


def test_the_later_of_two_openings_is_superseded(lake: Lake) -> None:
    monday = write_issues(lake, MONDAY, (1, 9, "a"), (2, 10, "b"))
    tuesday = write_issues(lake, TUESDAY, (2, 11, "c"), (3, 12, "d"))
    assert duplicate_openings(lake, [monday, tuesday]) == {TUESDAY: [2]}


def test_the_earlier_event_counts_even_if_it_is_in_a_later_day(lake: Lake) -> None:
    monday = write_issues(lake, MONDAY, (1, 10, "a"))
    tuesday = write_issues(lake, TUESDAY, (1, 9, "b"))
    assert duplicate_openings(lake, [monday, tuesday]) == {MONDAY: [1]}


def test_of_two_events_at_the_same_time_the_smaller_event_id_counts(lake: Lake) -> None:
    monday = write_issues(lake, MONDAY, (1, 9, "1000"), (2, 9, "7"))
    tuesday = write_issues(lake, TUESDAY, (1, 9, "999"), (2, 9, "8"))
    assert duplicate_openings(lake, [monday, tuesday]) == {MONDAY: [1], TUESDAY: [2]}


def test_of_three_openings_two_are_superseded(lake: Lake) -> None:
    days = [
        write_issues(lake, day, (2, hour, "a"), (1, hour, "a"))
        for day, hour in ((MONDAY, 11), (TUESDAY, 9), (WEDNESDAY, 10))
    ]
    assert duplicate_openings(lake, days) == {MONDAY: [1, 2], WEDNESDAY: [1, 2]}


def test_the_order_in_which_the_days_are_passed_does_not_matter(lake: Lake) -> None:
    monday = write_issues(lake, MONDAY, (1, 9, "a"))
    tuesday = write_issues(lake, TUESDAY, (1, 10, "b"))
    assert duplicate_openings(lake, [tuesday, monday]) == {TUESDAY: [1]}


def test_an_issue_that_was_opened_once_is_not_superseded(lake: Lake) -> None:
    monday = write_issues(lake, MONDAY, (1, 9, "a"))
    tuesday = write_issues(lake, TUESDAY, (2, 10, "b"))
    assert duplicate_openings(lake, [monday, tuesday]) == {}
    assert duplicate_openings(lake, []) == {}
