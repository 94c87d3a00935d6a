"""Judges how complete source days are, and stores the verdicts in the lake.

The verdict on a day depends on the days before it. If one of these is extracted after the verdict, the day
must be judged again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.contracts import ISSUES, SOURCE_HEALTH
from pipeline.lake.batches import Lake
from pipeline.lake.changed_days import Change
from pipeline.lake.day_catalogue import CurrentHealth
from pipeline.lake.manifest import Manifest
from pipeline.source import day_verdict

UNREACHABLE = "unreachable_bases"
"""A figure of a day's issues and of its verdict: the names of the bases that were needed but could not be
read. It is not a column of the table source_health_v1: the column `reason` names the bases."""
OPTIONAL_COUNTS = ("malformed_issues", "hours_unreadable", "events_per_hour", "late_hours_missing")
HOUR_LINEAGE = ("hour_sources", "hour_digests")
"""These columns of the table source_health_v1 are NULL if an earlier version of Titler extracted the day."""


class VerdictHistory(Mapping[date, day_verdict.JudgedDay]):
    """Maps each judged day to its verdict (how complete it is) and its numbers of events and issues.

    It contains the judged days in the lake, and the days that were added with `add`.
    """

    def __init__(self, health: CurrentHealth) -> None:
        self._health = health
        self._judged: dict[date, day_verdict.JudgedDay] = {}

    def __getitem__(self, day: date) -> day_verdict.JudgedDay:
        if day not in self._judged:
            figures = self._health[str(day)].figures
            if "verdict" not in figures:
                raise KeyError(day)
            self.add(day, figures)
        return self._judged[day]

    def add(self, day: date, figures: Mapping[str, Any]) -> None:
        """Adds a judged day, or replaces its verdict and its numbers of events and issues. `figures` is the
        day's row of the table source_health_v1."""
        self._judged[day] = day_verdict.JudgedDay(
            figures["verdict"],
            figures["events"],
            figures["issues"],
            tuple(figures.get("events_per_hour") or ()),
        )

    def __iter__(self) -> Iterator[date]:
        return iter(sorted({*self._judged, *map(date.fromisoformat, self._health)}))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def judge_day(lake: Lake, issues: Manifest, history: VerdictHistory) -> dict[str, Any]:
    """Judges how complete a source day is. Returns the day's row of the table source_health_v1.

    `issues` is the manifest of the day's batch of issues. Writes the row to the lake, unless the same row is
    stored already. Adds the verdict to `history`.
    """
    day, figures = date.fromisoformat(issues.day), issues.figures
    verdict = _verdict_columns(history, day, _counts({**figures, "issues": issues.rows}))
    row: dict[str, Any] = {
        "day": day,
        "hours_found": figures["hours_found"],
        "hours_missing": figures["hours_missing"],
        "events": figures["events"],
        "malformed": figures["malformed"],
        "issues": issues.rows,
        "trainable": figures["trainable"],
        **verdict,
        **{name: figures.get(name) for name in (*OPTIONAL_COUNTS, *HOUR_LINEAGE)},
        **({UNREACHABLE: figures[UNREACHABLE]} if figures.get(UNREACHABLE) else {}),
    }
    history.add(day, row)
    partition = {"day": issues.day}
    parameters = {**verdict, "issues_batch": issues.batch_id}
    if lake.reuse(SOURCE_HEALTH.name, partition, (issues.digest,), parameters) is None:
        draft = lake.draft(SOURCE_HEALTH.name, partition, (issues.digest,), parameters)
        table = pa.Table.from_pylist([row], schema=SOURCE_HEALTH.schema)
        draft.write_table("part-00000.parquet", table, SOURCE_HEALTH)
        # Nothing reads the lineage in the manifest, and pages of manifests would be twice as large with it.
        draft.commit(
            {name: value for name, value in row.items() if name not in HOUR_LINEAGE} | {"day": issues.day}
        )
    return row


def judge_again(lake: Lake, changes: Sequence[Change]) -> tuple[str, ...]:
    """Finds the earliest day with changed batches, and judges this day and all later days again. Returns the
    days whose row in the table source_health_v1 changed.

    A verdict depends on the earlier days that are in the lake when the day is judged. But a backfill may
    extract days in any order. Judging days again makes the verdicts independent of this order.

    `changes` lists the batches that have become current since a release was planned the last time. If the
    lake has no catalogue of days yet, all days are judged again.
    """
    health = CurrentHealth(lake, changes)
    history, judged_again = VerdictHistory(health), []
    first = min(health.changed_days, default=None)
    for name in [day for day in health if day >= first] if first else ():
        day, row = date.fromisoformat(name), health[name].figures
        if "verdict" not in row:
            continue
        verdict = _verdict_columns(history, day, _counts(row))
        unchanged = verdict == {column: row.get(column) for column in verdict}
        issues = None if unchanged else lake.current(ISSUES.name, {"day": name})
        # If the batch of issues is newer than the verdict, another process is extracting the day again. That
        # process judges the day.
        if issues is not None and issues.digest in health[name].inputs:
            judge_day(lake, issues, history)
            judged_again.append(name)
        else:
            history.add(day, row)
    return tuple(judged_again)


def _counts(figures: Mapping[str, Any]) -> day_verdict.DayCounts:
    """Returns a day's counts. `figures` is the day's row of the table source_health_v1. It may also be the
    figures of the day's batch of issues, with the number of issues under the key `issues`. In either case,
    OPTIONAL_COUNTS may be missing."""
    return day_verdict.DayCounts(
        figures["hours_found"],
        figures["events"],
        figures["malformed"],
        figures["issues"],
        figures.get("malformed_issues") or 0,
        tuple(figures.get("hours_unreadable") or ()),
        tuple(figures.get("events_per_hour") or ()),
        tuple(figures.get("late_hours_missing") or ()),
        tuple(figures.get(UNREACHABLE) or ()),
    )


def _verdict_columns(history: VerdictHistory, day: date, counts: day_verdict.DayCounts) -> dict[str, Any]:
    """Judges `day`, and returns its verdict and the other columns of the table source_health_v1 that depend
    on earlier days."""
    judgement = day_verdict.judge(day, counts, history)
    usual = judgement.usual
    return {
        "usual_events": usual.events if usual else None,
        "verdict": judgement.verdict,
        "usual_issues": usual.issues if usual else None,
        "compared_with": usual.compared_with if usual else None,
        "reason": judgement.reason,
    }
