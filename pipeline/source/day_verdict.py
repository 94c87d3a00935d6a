"""What a source day is worth: `complete`, `partial`, `collapsed` or `missing`, held against the days before it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Verdict = Literal["complete", "partial", "collapsed", "missing"]
Compared = Literal["weekday", "month"]

HOURS_A_DAY = 24
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
# Of what is usual, at most. Of 1,392 days of public trackers the quietest kept a fifth (2 issues of 10, and 3 of 14 on a Christmas); what
# GH Archive lost in May 2025 left between a tenth and a hundredth.
COLLAPSED_AT_MOST = 0.10
# Fewer a day, and chance alone brings a tenth of them: one or none where ten are usual comes once in 2,000 days (Poisson).
USUAL_AT_LEAST = 10
# Share of the lines, at least: an hour's part of the day, so that an hour of broken lines is as bad as an hour without a file.
PARTIAL_WHEN_MALFORMED = 1 / HOURS_A_DAY
# Share of the lines, at least: a tenth can be read, which is a collapse that needs no history to be seen.
COLLAPSED_WHEN_MALFORMED = 1 - COLLAPSED_AT_MOST

WEEKDAYS = 8  # two months: a median that one holiday does not move, and that follows GitHub's growth
WEEKDAYS_AT_LEAST = 3  # of fewer, one odd day is the median
MONTH_DAYS = 28  # whole weeks, so that each weekday counts as often as another
MONTH_AT_LEAST = 7  # a week: its median is a working day's, and a weekend keeps well above a tenth of that
# Same weekdays in a row that were never extracted: what lies beyond such a hole is another time, and says nothing of this one.
HOLE_WEEKS = 8


@dataclass(frozen=True)
class Counted:
    """What was counted on a day: hours found of 24, events of all types, lines in quarantine, issues opened."""

    hours_found: int
    events: int
    malformed: int
    issues: int


@dataclass(frozen=True)
class Judged:
    """A day before: its events and opened issues, and what it was called."""

    verdict: str
    events: int
    issues: int


@dataclass(frozen=True)
class Usual:
    """Medians of the days that a day is held against: the same `weekday`, or those of the `month` before."""

    events: int
    issues: int
    compared_with: Compared


@dataclass(frozen=True)
class Judgement:
    """A verdict, why it is not `complete`, in words, and what is usual (None while too few days are known)."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    usual: Usual | None = None

    @property
    def reason(self) -> str | None:
        return ", ".join(self.reasons) or None


def judge(day: date, counted: Counted, history: Mapping[date, Judged]) -> Judgement:
    """The verdict on a day. `history` holds the days judged so far, of which only those before `day` count.

    `missing` has no hour file; `collapsed` at most a tenth of its usual events, its usual issues, or its lines; `partial` less than 24
    hours, or an hour's part of its lines broken. Reasons are those of the verdict alone: a collapsed day may lack hours, too.
    """
    usual = usual_for(day, history)
    if counted.hours_found == 0:
        return Judgement("missing", (f"no hour of {HOURS_A_DAY} found",), usual)
    if reasons := (*_fallen(day, counted, usual), *_broken(counted, COLLAPSED_WHEN_MALFORMED)):
        return Judgement("collapsed", reasons, usual)
    lost = (
        () if counted.hours_found >= HOURS_A_DAY else (f"{counted.hours_found} of {HOURS_A_DAY} hours found",)
    )
    if reasons := (*lost, *_broken(counted, PARTIAL_WHEN_MALFORMED)):
        return Judgement("partial", reasons, usual)
    return Judgement("complete", (), usual)


def usual_for(day: date, history: Mapping[date, Judged]) -> Usual | None:
    """What is usual on `day`: by the last 8 of its weekday that were complete, at least 3 of them; else by the complete days, at least 7,
    among the 28 before; None where there are fewer.

    Days that collapsed or are missing are stepped over, however many: a collapse that lasts does not become what is usual.
    """
    weekdays = list(_complete_weekdays(day, history))
    if len(weekdays) >= WEEKDAYS_AT_LEAST:
        return _medians(weekdays, "weekday")
    month = list(_complete_month(day, history))
    return _medians(month, "month") if len(month) >= MONTH_AT_LEAST else None


def _medians(days: Sequence[Judged], compared_with: Compared) -> Usual:
    events, issues = (
        int(statistics.median(counts))
        for counts in ([one.events for one in days], [one.issues for one in days])
    )
    return Usual(events, issues, compared_with)


def _complete_weekdays(day: date, history: Mapping[date, Judged]) -> Iterator[Judged]:
    """Complete days of the same weekday, latest first: WEEKDAYS at most."""
    left, hole = WEEKDAYS, 0
    while left and hole < HOLE_WEEKS and day - date.min > WEEK:
        day -= WEEK
        before = history.get(day)
        hole = 0 if before else hole + 1
        if before and before.verdict == "complete":
            left -= 1
            yield before


def _complete_month(day: date, history: Mapping[date, Judged]) -> Iterator[Judged]:
    """Complete days among the MONTH_DAYS before, latest first; days on which the source failed are not among them."""
    left = MONTH_DAYS
    while left and day > date.min:
        day -= DAY
        before = history.get(day)
        if before and before.verdict in ("collapsed", "missing"):
            continue
        left -= 1
        if before and before.verdict == "complete":
            yield before


def _fallen(day: date, counted: Counted, usual: Usual | None) -> Iterator[str]:
    """What is left of it, for each count that has collapsed. Issues for themselves: the pushes may all be there."""
    if usual is None:
        return
    when = f" for a {day:%A}" if usual.compared_with == "weekday" else ""
    for thing, found, expected in (
        ("event", counted.events, usual.events),
        ("issue", counted.issues, usual.issues),
    ):
        if expected >= USUAL_AT_LEAST and found / expected <= COLLAPSED_AT_MOST:
            yield f"{found:,} {thing}{'' if found == 1 else 's'} where {expected:,} are usual{when}"


def _broken(counted: Counted, share: float) -> Iterator[str]:
    lines = counted.events + counted.malformed
    if lines >= USUAL_AT_LEAST and counted.malformed / lines >= share:
        yield f"{counted.malformed:,} of {lines:,} lines malformed"
