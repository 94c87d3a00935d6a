"""What publish says of collapsed days: why, and what to type next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import ISSUES, SOURCE_HEALTH
from pipeline.errors import StoppedError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, PinnedDay
from pipeline.releases.audit import audit
from pipeline.settings import Settings


def stopped(folder: Path, days: dict[str, dict[str, Any]], name: str = "r") -> StoppedError:
    """What a release of these days, each with the figures of its verdict, is stopped by."""
    lake, pinned, members = Lake(str(folder)), [], []
    for day, figures in days.items():
        issues = lake.draft(ISSUES.name, {"day": day}).commit()
        health = lake.draft(SOURCE_HEALTH.name, {"day": day}).commit(
            {"hours_found": 24, "events": 35, **figures}
        )
        pinned.append(PinnedDay(day, issues.folder, "", health.folder, issues.digest, "", health.digest))
        members.append(health)
    release = Pinned(lake, "releases", name)
    release.open(pinned, {})
    release.members.put(SOURCE_HEALTH.name, members)
    with pytest.raises(StoppedError) as raised:
        audit(Settings(), release, {}, [])
    return raised.value


def told(folder: Path, days: dict[str, dict[str, Any]]) -> list[str]:
    return str(stopped(folder, days)).splitlines()


def test_one_day(tmp_path: Path) -> None:
    assert told(
        tmp_path,
        {"2015-01-03": {"verdict": "collapsed", "reason": "31 issues where 412 are usual for a Saturday"}},
    ) == [
        "2015-01-03: 31 issues where 412 are usual for a Saturday (24 of 24 hours found), so the day has collapsed and stops release r.",
        "See what the source gave:  titler status --day 2015-01-03",
        "Fetch it again:            titler extract --day 2015-01-03 --again; then clean it and plan another release",
        'Accept it as it is:        titler publish --release r --accept 2015-01-03 --because "..."',
    ]


def test_several_days_are_named_and_accepted_at_once(tmp_path: Path) -> None:
    fallen = {"verdict": "collapsed", "reason": "31 issues where 412 are usual"}
    lines = told(
        tmp_path,
        {
            "2015-01-03": fallen,
            "2015-01-04": {"verdict": "partial"},
            "2015-01-05": fallen,
            "2015-01-06": fallen,
        },
    )
    assert lines[1] == "Collapsed as well: 2015-01-05, 2015-01-06."
    assert lines[-1].endswith('--accept 2015-01-03 --accept 2015-01-05 --accept 2015-01-06 --because "..."')


def test_a_day_of_before_there_were_reasons(tmp_path: Path) -> None:
    lines = told(tmp_path, {"2015-01-03": {"verdict": "collapsed", "events": 99, "usual_events": 1000}})
    assert lines[0].startswith(
        "2015-01-03: 99 events where 1,000 are usual (24 of 24 hours found), so the day has collapsed"
    )


def test_the_next_release_that_the_same_day_stops_wakes_nobody_again(tmp_path: Path) -> None:
    fallen = {"verdict": "collapsed", "reason": "31 issues where 412 are usual"}
    first, second, third = (
        stopped(tmp_path / name, {"2015-01-03": {**fallen, "events": events}}, name)
        for name, events in (("a", 35), ("b", 35), ("c", 36))
    )
    assert first.event == second.event != third.event
