"""The source days of a report."""

from __future__ import annotations

from typing import Any

from pipeline.lake.manifest import Manifest
from pipeline.serving.report.charts import hour_levels
from pipeline.serving.report.source_days import source_day, source_health
from pipeline.serving.report.values import Hour

COUNTS = {"events": 4, "issues": 2, "malformed": 0}


def batch(day: str, verdict: str = "complete") -> Manifest:
    figures: dict[str, Any] = {**COUNTS, "verdict": verdict}
    return Manifest(
        "source_health_v1", {"day": day}, "b", "k", "d", 1, (), (), {}, figures, "2024-02-01T00:00:00+00:00"
    )


def test_an_hour_is_missing_or_unreadable_or_has_events() -> None:
    figures = {
        **COUNTS,
        "verdict": "partial",
        "reason": "22 of 24 hours found",
        "hours_missing": [0, 1],
        "hours_unreadable": [1],
        "events_per_hour": [0, 0, *[7] * 22],
    }
    day = source_day("2024-01-01", figures)
    assert day.hours[:3] == (Hour("missing"), Hour("unreadable"), Hour("counted", 7))


def test_a_day_of_an_earlier_version_has_no_counts_per_hour() -> None:
    day = source_day("2024-01-01", {**COUNTS, "verdict": "partial", "hours_missing": [3]})
    assert (day.hours[2], day.hours[3], day.reason) == (Hour("found"), Hour("missing"), None)


def test_the_last_four_weeks_are_shown_hour_by_hour_and_earlier_days_if_they_are_incomplete() -> None:
    earlier = [batch("2023-12-01"), batch("2023-12-02", "collapsed")]
    health = source_health([*earlier, *(batch(f"2024-01-{number:02d}") for number in range(1, 29))])
    assert health is not None
    assert health.verdicts == (("complete", 29), ("collapsed", 1))
    assert (len(health.days), health.days[0].day) == (28, "2024-01-01")
    assert [day.day for day in health.earlier_incomplete] == ["2023-12-02"]


def test_the_shade_of_an_hour_grows_with_its_events() -> None:
    day = source_day(
        "2024-01-01", {**COUNTS, "verdict": "complete", "events_per_hour": [0, 25, 50, 75, 100, *[0] * 19]}
    )
    assert hour_levels([day])[0][:5] == [1, 2, 3, 4, 4]
