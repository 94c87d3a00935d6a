"""Prints how many duplicate marks days have, and how days without them get theirs."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.cli.console import count
from pipeline.contracts import DUPLICATE_MARKS
from pipeline.lake.manifest import Manifest
from pipeline.progress import say
from pipeline.settings import Settings


def extracted(settings: Settings, issues: Sequence[Manifest]) -> None:
    """Prints how many duplicate marks `extract` found, and how to add those of the days that an earlier
    version of Titler extracted without. `issues` are the manifests of the days' issues."""
    figures = [manifest.figures.get(DUPLICATE_MARKS.name) for manifest in issues]
    marks, incomplete = (sum(day[name] for day in figures if day) for name in ("marks", "incomplete"))
    if any(figures):
        say(f"    comments that call an issue a duplicate of another one: {marks:,}")
    if incomplete:
        say(f"    such comments that are left out, because a required value is missing: {incomplete:,}")
    without = sorted(manifest.day for manifest, day in zip(issues, figures, strict=True) if not day)
    if without:
        say(f"    {_without_marks(without)}. To add them: titler extract {_options(without)} --again")
        if settings.warehouse.kind == "bigquery":
            say(f"    What BigQuery would bill for that: titler cost {_options(without)} --again")


def cost(without: Sequence[str]) -> None:
    """Prints how to estimate what adding duplicate marks to the days `without` would cost."""
    if without:
        options = _options(sorted(without))
        say(f"    {_without_marks(without)}. What adding them would cost: titler cost {options} --again")


def _without_marks(days: Sequence[str]) -> str:
    return (
        f"{count(len(days), 'day')} in the lake without duplicate marks, because an earlier version of "
        "Titler extracted them"
    )


def _options(days: Sequence[str]) -> str:
    """Returns the options of a command for a span of days."""
    return f"--day {days[0]}" if len(days) == 1 else f"--from {days[0]} --to {days[-1]}"
