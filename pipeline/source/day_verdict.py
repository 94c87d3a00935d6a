"""Decides the verdict on a source day (one day of GH Archive): `complete`, `partial`, `collapsed` or
`missing`.

The day's numbers of events and of issues, and the number of events of each hour, are compared with those of
earlier days.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Verdict = Literal["complete", "partial", "collapsed", "missing"]
ComparedWith = Literal["weekday", "month"]

HOURS_PER_DAY = 24
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)

MAX_COLLAPSED_SHARE = 0.10
"""A day has collapsed if it has at most this share of its usual events or issues.

The share was chosen from real data. Of 1,392 days of public issue trackers, the quietest day had 2 issues
instead of the usual 10, which is a fifth. One Christmas had 3 instead of 14. But in May 2025, when GH Archive
lost data, its days had only 1% to 10% of their usual count."""
MIN_USUAL = 10
"""A count is compared only if its usual value is at least this. A count that is usually smaller may drop to a
tenth by chance. For a usual value of 10, such a drop happens once in 2,000 days (Poisson distribution). This
is also the minimum number of lines for a verdict on malformed lines."""
MIN_PARTIAL_MALFORMED_SHARE = 1 / HOURS_PER_DAY
"""A day is partial if at least this share of its lines is malformed. The share is one hour of 24, so an
hour of malformed lines counts like a missing hour."""
MIN_COLLAPSED_MALFORMED_SHARE = 1 - MAX_COLLAPSED_SHARE
"""A day has collapsed if at least this share of its lines is malformed, because then at most a tenth of the
lines is readable. This rule does not depend on earlier days.

Both shares also apply to the malformed ones among the opened issues. Issues are about a hundredth of all
events, so a day can lose all of them and still have few malformed lines."""
MIN_USUAL_PER_HOUR = 50
"""The events of an hour are compared only if their usual number is at least this. A year has 8,760 hours, so
the limit must be higher than for a day. If 50 events are usual, 5 or fewer happen by chance once in 10^14
hours (Poisson distribution)."""

MAX_WEEKDAYS = 8
"""A day is compared with at most this many days of the same weekday, which span two months. With so many, one
holiday does not move the median. With more, the median would not follow GitHub's growth."""
MIN_WEEKDAYS = 3
"""Minimum number of days of the same weekday for a comparison. With fewer, an unusual day could be the
median."""
MONTH_DAYS = 28
"""Length in days of the `month` that a day is compared with. In four weeks, all weekdays count equally."""
MIN_MONTH_DAYS = 7
"""Minimum number of complete days in the month for a comparison: one week. The median of a week is the count
of a working day. A weekend usually has well over a tenth of that count, so it does not look collapsed."""
MAX_MISSING_WEEKS = 8
"""Maximum gap in weeks. If this many consecutive days of the same weekday were never extracted, days before
the gap are too old for a comparison."""


@dataclass(frozen=True)
class DayCounts:
    """What was counted in a source day.

    - `hours_found`: how many of the 24 hours have events.
    - `events`: the number of well-formed events of all types.
    - `malformed`: the number of malformed lines.
    - `issues`: the number of new issues.
    - `malformed_issues`: the number of malformed lines that appear to be the event of an opened issue.
    - `hours_unreadable`: the hours that have a file from which no event could be read.
    - `events_per_hour`: the numbers of well-formed events in the hours 0 to 23 (UTC). Empty if the day was
      extracted by an earlier version of Titler, which did not count them.
    - `late_hours_missing`: the hours whose files may have late events of the day but were not read. They are
      counted from the start of the day: 24 is the first hour of the next day.
    - `unreachable_bases`: the names of the bases of hour files that were needed but could not be read.
    """

    hours_found: int
    events: int
    malformed: int
    issues: int
    malformed_issues: int = 0
    hours_unreadable: tuple[int, ...] = ()
    events_per_hour: tuple[int, ...] = ()
    late_hours_missing: tuple[int, ...] = ()
    unreachable_bases: tuple[str, ...] = ()


@dataclass(frozen=True)
class JudgedDay:
    """An earlier source day: its verdict, its number of events, its number of opened issues, and the number
    of events in each hour (empty if unknown)."""

    verdict: str
    events: int
    issues: int
    events_per_hour: tuple[int, ...] = ()


@dataclass(frozen=True)
class UsualCounts:
    """The numbers of events and of issues that are usual for a day: medians over earlier days.

    `compared_with` says which earlier days: "weekday" means days of the same weekday, and "month" means the
    latest days of all weekdays (see `usual_counts`). `events_per_hour` has the medians for the hours 0 to 23.
    It is empty if too few of the earlier days have the number of events of each hour.
    """

    events: int
    issues: int
    compared_with: ComparedWith
    events_per_hour: tuple[int, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """The verdict on a source day, with the reasons for it. A complete day has no reasons.

    `usual` are the numbers of events and issues that the day was compared with. It is None if too few earlier
    days are complete.
    """

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    usual: UsualCounts | None = None

    @property
    def reason(self) -> str | None:
        """The reasons for the verdict in one line, or None if the day is complete."""
        return ", ".join(self.reasons) or None


def judge(day: date, counts: DayCounts, history: Mapping[date, JudgedDay]) -> Judgement:
    """Returns the verdict on a source day. `counts` says what was counted in the day.

    `history` has the earlier days; only days before `day` are used. An hour is found if at least one event
    was read from it. The verdicts are checked in this order, and the first that applies is returned with its
    reasons:

    - `missing`: no hour was found.
    - `collapsed`: the events or the issues are at most a tenth of their usual count, or at least 9/10 of the
      lines or of the opened issues are malformed.
    - `partial`: fewer than 24 hours were found, a file had no readable event, the events of an hour are at
      most a tenth of their usual count, hours that may have late events were not read, or at least 1/24 of
      the lines or of the opened issues are malformed.
    - `complete`: none of these.

    If the day is not complete, its reasons also name the bases of hour files that could not be read.
    """
    usual = usual_counts(day, history)
    unreadable = tuple(_unreadable_hours(counts))
    unreachable = tuple(f"{base} could not be read" for base in counts.unreachable_bases)
    if counts.hours_found == 0:
        return Judgement("missing", (f"no hour of {HOURS_PER_DAY} found", *unreadable, *unreachable), usual)
    collapsed = (*_collapsed_counts(day, counts, usual), *_malformed(counts, MIN_COLLAPSED_MALFORMED_SHARE))
    if collapsed:
        return Judgement("collapsed", (*collapsed, *unreachable), usual)
    missing_hours: tuple[str, ...] = ()
    if counts.hours_found < HOURS_PER_DAY:
        missing_hours = (f"{counts.hours_found} of {HOURS_PER_DAY} hours found",)
    malformed = _malformed(counts, MIN_PARTIAL_MALFORMED_SHARE)
    thin_hours, late_hours = _collapsed_hours(counts, usual), _missing_late_hours(counts)
    if partial := (*missing_hours, *unreadable, *thin_hours, *late_hours, *malformed):
        return Judgement("partial", (*partial, *unreachable), usual)
    return Judgement("complete", (), usual)


def usual_counts(day: date, history: Mapping[date, JudgedDay]) -> UsualCounts | None:
    """Returns how many events and how many issues are usual for `day`. Returns None if there are too few
    complete earlier days.

    Complete days of the same weekday are searched first, week by week from the latest to the earliest. The
    search ends at 8 complete days, or after MAX_MISSING_WEEKS weeks in a row without a day in `history`. If
    at least 3 complete days are found, their medians are returned.

    Otherwise the days of all weekdays are searched, from the latest to the earliest. Days that are partial,
    collapsed or missing are skipped, so low counts do not become usual, even if the days collapse for weeks.
    The search ends after 28 other days: these are complete or absent from `history`. If at least 7 of them
    are complete, the medians of the complete days are returned.
    """
    weekdays = list(_complete_weekdays(day, history))
    if len(weekdays) >= MIN_WEEKDAYS:
        return _medians(weekdays, "weekday")
    month = list(_complete_month(day, history))
    return _medians(month, "month") if len(month) >= MIN_MONTH_DAYS else None


def _medians(days: Sequence[JudgedDay], compared_with: ComparedWith) -> UsualCounts:
    events = int(statistics.median([day.events for day in days]))
    issues = int(statistics.median([day.issues for day in days]))
    per_hour = [day.events_per_hour for day in days if day.events_per_hour]
    usual_per_hour: tuple[int, ...] = ()
    if len(per_hour) >= (MIN_WEEKDAYS if compared_with == "weekday" else MIN_MONTH_DAYS):
        usual_per_hour = tuple(int(statistics.median(hour)) for hour in zip(*per_hour, strict=True))
    return UsualCounts(events, issues, compared_with, usual_per_hour)


def _complete_weekdays(day: date, history: Mapping[date, JudgedDay]) -> Iterator[JudgedDay]:
    """Yields up to MAX_WEEKDAYS complete days of the same weekday before `day`, latest first.

    Stops if the days of this weekday are unknown for MAX_MISSING_WEEKS weeks in a row.
    """
    remaining, missing_weeks = MAX_WEEKDAYS, 0
    while remaining and missing_weeks < MAX_MISSING_WEEKS and day - date.min > WEEK:
        day -= WEEK
        judged = history.get(day)
        missing_weeks = 0 if judged else missing_weeks + 1
        if judged and judged.verdict == "complete":
            remaining -= 1
            yield judged


def _complete_month(day: date, history: Mapping[date, JudgedDay]) -> Iterator[JudgedDay]:
    """Searches the days before `day`, and yields the complete ones, latest first.

    Days that are partial, collapsed or missing are skipped. The search ends after MONTH_DAYS other days:
    these are complete or absent from `history`.
    """
    remaining = MONTH_DAYS
    while remaining and day > date.min:
        day -= DAY
        judged = history.get(day)
        if judged is None:
            remaining -= 1
        elif judged.verdict == "complete":
            remaining -= 1
            yield judged


def _collapsed_counts(day: date, counts: DayCounts, usual: UsualCounts | None) -> Iterator[str]:
    """Compares a day's number of events with the usual number of events, and its number of issues with the
    usual number of issues. Yields a reason for each number that is at most a tenth of the usual one.

    Issues are compared separately, because a source may lose only the issues.
    """
    if usual is None:
        return
    weekday = f" for a {day:%A}" if usual.compared_with == "weekday" else ""
    pairs = (("event", counts.events, usual.events), ("issue", counts.issues, usual.issues))
    for name, count, expected in pairs:
        if expected >= MIN_USUAL and count / expected <= MAX_COLLAPSED_SHARE:
            yield f"{count:,} {name}{'' if count == 1 else 's'} where {expected:,} are usual{weekday}"


def is_thin(events: int, usual_events: int) -> bool:
    """Returns whether the events of an hour are at most a tenth of their usual number.

    Returns False if the usual number is so small that such a drop can be chance.
    """
    return usual_events >= MIN_USUAL_PER_HOUR and events / usual_events <= MAX_COLLAPSED_SHARE


def _malformed(counts: DayCounts, share: float) -> Iterator[str]:
    """Yields a reason such as `3 of 30 lines malformed` if at least the share `share` (0 to 1) of the lines
    is malformed. Yields a second reason if at least this share of the opened issues is malformed."""
    lines = counts.events + counts.malformed
    if lines >= MIN_USUAL and counts.malformed / lines >= share:
        yield f"{counts.malformed:,} of {lines:,} lines malformed"
    opened = counts.issues + counts.malformed_issues
    if opened >= MIN_USUAL and counts.malformed_issues / opened >= share:
        yield f"{counts.malformed_issues:,} of {opened:,} opened issues malformed"


def _unreadable_hours(counts: DayCounts) -> Iterator[str]:
    if counts.hours_unreadable:
        yield f"no event could be read from the files of {_hours(counts.hours_unreadable)}"


def _collapsed_hours(counts: DayCounts, usual: UsualCounts | None) -> Iterator[str]:
    """Compares the events of each hour with their usual number. Yields one reason for all hours that have at
    most a tenth of their usual events. Hours without an event are missing hours and are not compared."""
    if usual is None or not usual.events_per_hour:
        return
    pairs = zip(counts.events_per_hour, usual.events_per_hour, strict=bool(counts.events_per_hour))
    collapsed = {
        hour: (events, expected)
        for hour, (events, expected) in enumerate(pairs)
        if events and is_thin(events, expected)
    }
    if collapsed:
        events, expected = (sum(numbers) for numbers in zip(*collapsed.values(), strict=True))
        plural = "" if events == 1 else "s"
        yield f"{events:,} event{plural} in {_hours(collapsed)} where {expected:,} are usual"


def _missing_late_hours(counts: DayCounts) -> Iterator[str]:
    same_day = [hour for hour in counts.late_hours_missing if hour < HOURS_PER_DAY]
    next_day = [hour - HOURS_PER_DAY for hour in counts.late_hours_missing if hour >= HOURS_PER_DAY]
    for hours, of_day in ((same_day, ""), (next_day, " of the next day")):
        if hours:
            yield f"late events may be missing, because the files of {_hours(hours)}{of_day} were not read"


def _hours(hours: Collection[int]) -> str:
    return f"hour{'' if len(hours) == 1 else 's'} {', '.join(map(str, hours))}"
