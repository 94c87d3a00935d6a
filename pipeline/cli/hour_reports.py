"""Prints what was unusual about the hour files that the stage `extract` read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.progress import say
from pipeline.settings import Settings
from pipeline.source.base_names import base_name
from pipeline.source.hour_names import EXAMPLE

if TYPE_CHECKING:
    from pipeline.compute.derived_batches import Outcome

DAYS_LISTED = 20
FILES_LISTED = 5


def extracted(settings: Settings, outcome: Outcome) -> None:
    """Prints what was unusual about the hour files of the extracted days:

    - days that were extracted again, because the source may have more of their data now
    - hours that were not taken from the preferred base (a base is a place with hour files; the first one in
      the setting source.bases is preferred)
    - files that were not read because of their names
    - bases and files that could not be reached
    - incomplete days that could not be checked again
    """
    preferred = base_name(settings.source.bases[0].base)
    for manifest in outcome.manifests[:DAYS_LISTED]:
        figures = manifest.figures
        if manifest.day in outcome.rechecked_days:
            say(f"    {manifest.day}: extracted again, because the source may have more of this day now")
        if settings.warehouse.kind != "bigquery":
            for base, hours in _hours_by_base(figures.get("hour_sources", ())).items():
                if base_name(base) != preferred:
                    numbers = f"hour{'s' * (len(hours) > 1)} {', '.join(map(str, hours))}"
                    say(f"    {manifest.day}: {numbers} taken from {base}, not from {preferred}")
        if other_names := figures.get("other_names"):
            unlisted = len(other_names) - FILES_LISTED
            listed = ", ".join(other_names[:FILES_LISTED]) + (
                f" and {unlisted:,} others" if unlisted > 0 else ""
            )
            say(
                f"    {manifest.day}: files that were not read, because of their names: {listed}. "
                f"Expected one file per hour, with names like {EXAMPLE}"
            )
    for day, messages in list(outcome.unreachable_bases.items())[:DAYS_LISTED]:
        for message in messages:
            say(f"    {day}: a source was not used, because of an error: {message}")
    for day, reason in list(outcome.unchecked_days.items())[:DAYS_LISTED]:
        say(f"    {day} is not complete, and it could not be checked again: {reason}")


def _hours_by_base(hour_sources: Sequence[str]) -> dict[str, list[int]]:
    hours: dict[str, list[int]] = {}
    for hour, base in enumerate(hour_sources):
        if base:
            hours.setdefault(base, []).append(hour)
    return hours
