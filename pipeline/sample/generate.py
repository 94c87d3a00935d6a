"""Generates the sample: hour files like those of GH Archive, for tests and first tries without the Internet.

The sample's files have the faults of real hour files, such as a missing hour and malformed lines. A small
network can learn from the issues in the sample.

All repositories, people and problems are invented. A near-duplicate is an issue that repeats the problem of
an earlier issue in other words. The file `planted.json`, next to the hour files, lists the near-duplicates,
malformed lines and other faults in the hour files. Tests compare it with what Titler finds. Its keys:

- `days`: the days, as YYYY-MM-DD
- `duplicates`: near-duplicates, and further reports of a recurring problem, as (newer URL, older URL)
- `marks`: comments that call a near-duplicate a duplicate, as (newer URL, older URL, who says so: member,
  author, bot or other). Comments that only mention an issue are not listed
- `missing_hours`: hours without a file, such as "2024-01-01-13"
- `malformed_hours`: hours whose file has malformed lines
- `malformed_lines`: the number of malformed lines
- `opened_twice`: URLs of issues with two opened events, the second with another title
- `opened_again_next_day`: URLs of those issues in `opened_twice` whose second opened event is on the next day
- `forms`: URLs of issues by form, such as "null body"
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from pipeline.errors import UsageError
from pipeline.progress import track
from pipeline.sample.days import IDS_PER_DAY, Calendar
from pipeline.sample.duplicate_comments import DuplicateComments
from pipeline.sample.events import Event
from pipeline.sample.recurring_reports import RecurringReports
from pipeline.sample.repositories_and_people import World

MIN_ISSUES_PER_DAY, MAX_ISSUES_PER_DAY = (
    60,
    10_000,
)  # with fewer, some forms of issues would be missing; with more, ids would run out
MALFORMED_LINES = (
    b'{"id":"99999999999","type":"PushEvent","actor":{"id":1,"login":"nobody-cut-off","url":"https://api.gith\n',
    b'{"id":"99999999998","type":"IssuesEvent","payload":{"action":"opened","issue":{"title":"cut off he\n',
    b"<html><body><h1>502 Bad Gateway</h1></body></html>\n",
    b'["an array", "where an event", "should be"]\n',
    b"}{\n",
)


@dataclass(frozen=True)
class Sample:
    """Describes the sample that `write` wrote.

    `files` is the number of hour files. `events` is the number of events in these files. `issues` is the
    number of distinct issues. `duplicates` lists the same pairs as the key `duplicates` of `planted.json`.
    """

    directory: Path
    days: list[date]
    files: int
    events: int
    issues: int
    duplicates: list[tuple[str, str]]


def write(
    directory: Path,
    days: int = 2,
    seed: int = 0,
    first_day: date = date(2024, 1, 1),
    issues_per_day: int = 600,
) -> Sample:
    """Writes hour files `YYYY-MM-DD-H.json.gz` for `days` days, and lists their faults in `planted.json`.

    One hour of the last day is left out. Equal arguments give equal bytes. To continue a sample, call this
    function with the same seed and a later first day. The new issues then belong to the same repositories,
    and `planted.json` describes only the last call.

    Raises UsageError if `days` is less than 1, or if `issues_per_day` is not between 60 and 10,000. Also
    raises UsageError if `directory` is a file, or if it already contains a file for the hour that the sample
    leaves out. This hour would then not be missing.
    """
    _check_size(days, issues_per_day)
    random = Random(f"{seed}/{first_day}")
    dates = [first_day + timedelta(days=number) for number in range(days)]
    absent, broken = random.sample(range(24), 2)
    missing = datetime.combine(dates[-1], time(absent))
    malformed = datetime.combine(dates[0], time(broken))
    _prepare(directory, _path(directory, missing))

    world = World(Random(seed))
    comments = DuplicateComments(Random(f"{seed}/{first_day}/comments"), world)
    recurring = RecurringReports(Random(f"{seed}/{first_day}/recurring"), world)
    calendar = Calendar(random, world, missing, comments, recurring)
    files = events = 0
    for day in track(dates, "Writing the sample", len(dates)):
        hours = _lines(
            random,
            calendar.day(day, issues_per_day, last=day == dates[-1]),
            first_id=day.toordinal() * IDS_PER_DAY * 10,
        )
        for number in range(24):
            hour = datetime.combine(day, time(number))
            if hour == missing:
                continue
            lines = hours[number]
            files, events = files + 1, events + len(lines)
            if hour == malformed:
                for line in MALFORMED_LINES:
                    lines.insert(random.randrange(len(lines) + 1), line)
            _write(_path(directory, hour), lines)

    planted = _planted(calendar, dates, missing, malformed)
    (directory / "planted.json").write_text(json.dumps(planted, indent=1) + "\n", encoding="utf-8")
    return Sample(directory, dates, files, events, days * issues_per_day, calendar.duplicates)


def _planted(calendar: Calendar, dates: list[date], missing: datetime, malformed: datetime) -> dict[str, Any]:
    """Returns the content of planted.json, which lists the faults that were planted in the sample."""
    return {
        "days": [day.isoformat() for day in dates],
        "duplicates": calendar.duplicates,
        "marks": calendar.marks,
        "missing_hours": [_name(missing)],
        "malformed_hours": [_name(malformed)],
        "malformed_lines": len(MALFORMED_LINES),
        "opened_twice": calendar.opened_twice,
        "opened_again_next_day": calendar.opened_again_next_day,
        "forms": calendar.by_form,
    }


def _check_size(days: int, issues_per_day: int) -> None:
    if days < 1:
        raise UsageError(
            f"A sample needs at least 1 day, not {days}.", "For example:  titler sample DIR --days 2"
        )
    if not MIN_ISSUES_PER_DAY <= issues_per_day <= MAX_ISSUES_PER_DAY:
        raise UsageError(
            f"A sample cannot have {issues_per_day} issues per day: "
            f"expected {MIN_ISSUES_PER_DAY} to {MAX_ISSUES_PER_DAY}."
        )


def _name(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d}-{hour.hour}"


def _path(directory: Path, hour: datetime) -> Path:
    return directory / f"{_name(hour)}.json.gz"


def _prepare(directory: Path, missing: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise UsageError(
            f"{directory} is a file, expected a folder.",
            "Give a folder that is empty or does not exist:  titler sample DIR",
        )
    if missing.exists():
        raise UsageError(
            f"The file {missing} exists, but its hour must be missing in the sample.",
            "Give an empty folder, or remove the file.",
        )
    directory.mkdir(parents=True, exist_ok=True)


def _lines(random: Random, events: Iterable[Event], first_id: int) -> dict[int, list[bytes]]:
    """Returns the lines of the hour files: a dict from the hour to its lines.

    Event ids increase with time. About half of the lines are in ASCII, the others are in UTF-8.
    """
    hours: dict[int, list[bytes]] = defaultdict(list)
    ids = count(first_id)
    for event in events:
        hours[event.moment.hour].append(event.line(next(ids), ascii_only=random.random() < 0.5))
    return hours


def _write(path: Path, lines: Iterable[bytes]) -> None:
    # no name and no time in the gzip header, so that equal lines give equal bytes
    with path.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as archive:
        archive.writelines(lines)
