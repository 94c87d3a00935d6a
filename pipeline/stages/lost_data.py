"""Part of the stage `extract`: decides whether the source has lost data of a day since it was extracted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.lake.manifest import Manifest
from pipeline.source.day_verdict import is_thin
from pipeline.source.hour_names import HOURS
from pipeline.source.trainable import WORD


def lost_data(stored: Mapping[str, Any], available: Mapping[str, Any]) -> str:
    """Checks whether the source has lost data of a day since the day was extracted.

    Returns how much data the source still has, for example "23 of the 24 hours", or an empty string if no
    data was lost. Both arguments are results of `batch_parameters`: `stored` describes the data from which
    the existing batch was made, and `available` describes the data that the source has now. If they have
    different queries or kinds of source, they cannot be compared, and the result is also an empty string.
    """
    ignored = ("hours", "table_rows", WORD)  # words can be counted again without the source
    other_before, other_now = (
        {name: value for name, value in parameters.items() if name not in ignored}
        for parameters in (stored, available)
    )
    if other_before != other_now or ("hours" in stored) != ("hours" in available):
        return ""
    if "hours" in available:
        hours_before, hours_now = (
            {hour for hour, *_ in parameters["hours"] if hour in HOURS} for parameters in (stored, available)
        )
        return f"{len(hours_now)} of the {len(hours_before)} hours" if hours_now < hours_before else ""
    rows_before, rows_now = (parameters["table_rows"] or 0 for parameters in (stored, available))
    return f"{rows_now:,} of the {rows_before:,} events" if rows_now < rows_before else ""


def lost_events(current: Manifest, parameters: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Checks whether the source has lost events of a day since the batch `current` was extracted.

    `parameters` and `figures` belong to the new extraction. Returns how much data the source still has, or an
    empty string, as `lost_data` does.
    """
    parameters_before, parameters_now = (
        _with_found_hours(current.parameters, current.figures),
        _with_found_hours(parameters, figures),
    )
    if available := lost_data(parameters_before, parameters_now):
        return available
    if "hours" not in parameters_now or current.parameters.get("query") != parameters["query"]:
        return ""
    pairs = enumerate(
        zip(current.figures.get("events_per_hour") or (), figures["events_per_hour"], strict=False)
    )
    return next(
        (
            f"{events:,} of the {events_before:,} events of hour {hour}"
            for hour, (events_before, events) in pairs
            if is_thin(events, events_before)
        ),
        "",
    )


def fewer_events(current: Manifest, figures: Mapping[str, Any]) -> str:
    """Checks whether a new extraction has fewer events than the batch `current`.

    `figures` are the figures of the new extraction. Returns how many events the source still has, for example
    "900 of the 1,000 events", or an empty string if there are not fewer.
    """
    events_before, events_now = current.figures["events"], figures["events"]
    return f"{events_now:,} of the {events_before:,} events" if events_now < events_before else ""


def _with_found_hours(parameters: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a batch with only those hours from which an event was read."""
    hours_found = [[hour] for hour in HOURS if hour not in figures["hours_missing"]]
    return {**parameters, **({"hours": hours_found} if "hours" in parameters else {})}
