"""The verdict on a source day: `complete`, `partial`, `collapsed` or `missing`, compared with the days before
it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Verdict = Literal["complete", "partial", "collapsed", "missing"]
ComparedWith = Literal["weekday", "month"]

HOURS_PER_DAY = 24
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)

MAX_COLLAPSED_SHARE = 0.10
"""A day has collapsed if at most this share of its usual count is left. Of 1,392 days of public trackers the
quietest had a fifth of the usual count (2 issues of 10, and 3 of 14 on a Christmas). What GH Archive lost
in May 2025 left 1% to 10%."""
MIN_USUAL = 10
"""Below this usual count a drop to a tenth can be chance: at 10 it happens once in 2,000 days (Poisson)."""
MIN_PARTIAL_MALFORMED_SHARE = 1 / HOURS_PER_DAY
"""From this share of malformed lines a day is partial: an hour of broken lines counts like an hour without a
file."""
MIN_COLLAPSED_MALFORMED_SHARE = 1 - MAX_COLLAPSED_SHARE
"""From this share of malformed lines a day has collapsed: at most a tenth is readable. This needs no
history."""

MAX_WEEKDAYS = 8
"""Two months: one holiday does not move the median, and the median follows GitHub's growth."""
MIN_WEEKDAYS = 3
"""With fewer, one odd day would be the median."""
MONTH_DAYS = 28
"""Whole weeks, so that each weekday counts equally often."""
MIN_MONTH_DAYS = 7
"""A week: its median is a working day, and a weekend stays well above a tenth of that."""
MAX_MISSING_WEEKS = 8
"""After this many consecutive same weekdays that were never extracted, older days are too old to compare
with."""


@dataclass(frozen=True)
class DayCounts:
    """The counts of a day: hours found (of 24), events of all types, malformed lines, issues opened."""

    hours_found: int
    events: int
    malformed: int
    issues: int


@dataclass(frozen=True)
class JudgedDay:
    """An earlier day: its verdict, events and opened issues."""

    verdict: str
    events: int
    issues: int


@dataclass(frozen=True)
class UsualCounts:
    """The medians of the days that a day is compared with: days of the same `weekday`, or of the `month`
    before."""

    events: int
    issues: int
    compared_with: ComparedWith


@dataclass(frozen=True)
class Judgement:
    """A verdict, the reasons if it is not `complete`, and the usual counts (None if too few days are
    known)."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    usual: UsualCounts | None = None

    @property
    def reason(self) -> str | None:
        """The reasons in one line, or None."""
        return ", ".join(self.reasons) or None


def judge(day: date, counts: DayCounts, history: Mapping[date, JudgedDay]) -> Judgement:
    """The verdict on a day. `history` holds judged days, of which only those before `day` count.

    `missing`: no hour file. `collapsed`: at most a tenth of the usual events, the usual issues or the lines
    is left. `partial`: fewer than 24 hours, or at least an hour's share of malformed lines. Only the reasons
    for the verdict itself are given: a collapsed day may lack hours as well.
    """
    usual = usual_counts(day, history)
    if counts.hours_found == 0:
        return Judgement("missing", (f"no hour of {HOURS_PER_DAY} found",), usual)
    collapsed = (*_collapsed_counts(day, counts, usual), *_malformed(counts, MIN_COLLAPSED_MALFORMED_SHARE))
    if collapsed:
        return Judgement("collapsed", collapsed, usual)
    missing_hours: tuple[str, ...] = ()
    if counts.hours_found < HOURS_PER_DAY:
        missing_hours = (f"{counts.hours_found} of {HOURS_PER_DAY} hours found",)
    if partial := (*missing_hours, *_malformed(counts, MIN_PARTIAL_MALFORMED_SHARE)):
        return Judgement("partial", partial, usual)
    return Judgement("complete", (), usual)


def usual_counts(day: date, history: Mapping[date, JudgedDay]) -> UsualCounts | None:
    """The usual counts of `day`, or None if too few complete days are known.

    These are the medians of the last 8 complete days of the same weekday, if there are at least 3; otherwise
    of the complete days among the 28 days before, if there are at least 7. Collapsed and missing days are
    skipped, however many there are, so a collapse that lasts does not become usual.
    """
    weekdays = list(_complete_weekdays(day, history))
    if len(weekdays) >= MIN_WEEKDAYS:
        return _medians(weekdays, "weekday")
    month = list(_complete_month(day, history))
    return _medians(month, "month") if len(month) >= MIN_MONTH_DAYS else None


def _medians(days: Sequence[JudgedDay], compared_with: ComparedWith) -> UsualCounts:
    events = int(statistics.median([day.events for day in days]))
    issues = int(statistics.median([day.issues for day in days]))
    return UsualCounts(events, issues, compared_with)


def _complete_weekdays(day: date, history: Mapping[date, JudgedDay]) -> Iterator[JudgedDay]:
    """Complete days of the same weekday, latest first: at most MAX_WEEKDAYS."""
    remaining, missing_weeks = MAX_WEEKDAYS, 0
    while remaining and missing_weeks < MAX_MISSING_WEEKS and day - date.min > WEEK:
        day -= WEEK
        judged = history.get(day)
        missing_weeks = 0 if judged else missing_weeks + 1
        if judged and judged.verdict == "complete":
            remaining -= 1
            yield judged


def _complete_month(day: date, history: Mapping[date, JudgedDay]) -> Iterator[JudgedDay]:
    """Complete days among the MONTH_DAYS days before, latest first. Collapsed and missing days do not count
    as days."""
    remaining = MONTH_DAYS
    while remaining and day > date.min:
        day -= DAY
        judged = history.get(day)
        if judged and judged.verdict in ("collapsed", "missing"):
            continue
        remaining -= 1
        if judged and judged.verdict == "complete":
            yield judged


def _collapsed_counts(day: date, counts: DayCounts, usual: UsualCounts | None) -> Iterator[str]:
    """A reason for each count that has collapsed. Issues count separately: they can be lost while pushes are
    not."""
    if usual is None:
        return
    weekday = f" for a {day:%A}" if usual.compared_with == "weekday" else ""
    pairs = (("event", counts.events, usual.events), ("issue", counts.issues, usual.issues))
    for name, count, expected in pairs:
        if expected >= MIN_USUAL and count / expected <= MAX_COLLAPSED_SHARE:
            yield f"{count:,} {name}{'' if count == 1 else 's'} where {expected:,} are usual{weekday}"


def _malformed(counts: DayCounts, share: float) -> Iterator[str]:
    """A reason if at least `share` of the lines are malformed."""
    lines = counts.events + counts.malformed
    if lines >= MIN_USUAL and counts.malformed / lines >= share:
        yield f"{counts.malformed:,} of {lines:,} lines malformed"
