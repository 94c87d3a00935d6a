"""Collects what a report shows about the source days of a release: their hours, and whether they are complete
(their verdicts)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.lake.manifest import Manifest
from pipeline.serving.report.values import Hour, SourceDay, SourceHealth

DAYS = 28
"""Maximum number of days that are shown hour by hour."""
EARLIER_DAYS = 20
"""Maximum number of incomplete days before them that are listed."""
HOURS = 24
VERDICTS = ("complete", "partial", "collapsed", "missing")


def source_health(batches: Sequence[Manifest]) -> SourceHealth | None:
    """Returns what a report shows about the source days of a release. `batches` are the release's batches of
    the table source_health_v1. Reads only their manifests. Returns None if there are no batches."""
    if not batches:
        return None
    counts = Counter(batch.figures["verdict"] for batch in batches)
    incomplete = [batch for batch in batches[:-DAYS] if batch.figures["verdict"] != "complete"]
    return SourceHealth(
        tuple((verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict]),
        tuple(source_day(batch.day, batch.figures) for batch in batches[-DAYS:]),
        tuple(source_day(batch.day, batch.figures) for batch in incomplete[-EARLIER_DAYS:]),
        len(incomplete),
    )


def source_day(day: str, figures: Mapping[str, Any]) -> SourceDay:
    """Returns what a report shows about one source day. `figures` are the figures of the day's batch. Batches
    of earlier versions of Titler lack some of them."""
    missing = set(figures.get("hours_missing") or ())
    unreadable = set(figures.get("hours_unreadable") or ())
    events = list(figures.get("events_per_hour") or ())
    return SourceDay(
        day,
        figures["verdict"],
        figures.get("reason"),
        tuple(_hour(hour, missing, unreadable, events) for hour in range(HOURS)),
        figures["events"],
        figures["issues"],
        figures["malformed"],
    )


def _hour(hour: int, missing: set[int], unreadable: set[int], events: Sequence[int]) -> Hour:
    if hour in unreadable:
        return Hour("unreadable")
    if hour in missing:
        return Hour("missing")
    return Hour("counted", events[hour]) if hour < len(events) else Hour("found")
