"""The generated sample: hour files in GH Archive's shape, quirks included, with issues that a small network can learn from.

Nothing in it is anybody's: repositories, people and problems are invented. What was planted is written beside the hours,
in `planted.json`, so that tests can ask for it.
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

from pipeline.errors import UsageError
from pipeline.progress import track
from pipeline.sample.days import IDS_A_DAY, Calendar
from pipeline.sample.events import Event
from pipeline.sample.world import World

FEWEST, MOST = 60, 10_000  # issues a day: below, not every form of issue has one; above, ids run out
MALFORMED = (
    b'{"id":"99999999999","type":"PushEvent","actor":{"id":1,"login":"nobody-cut-off","url":"https://api.gith\n',
    b'{"id":"99999999998","type":"IssuesEvent","payload":{"action":"opened","issue":{"title":"cut off he\n',
    b"<html><body><h1>502 Bad Gateway</h1></body></html>\n",
    b'["an array", "where an event", "should be"]\n',
    b"}{\n",
)


@dataclass(frozen=True)
class Sample:
    """What `write` wrote.

    `events` counts lines that are events, `issues` counts different issues opened, `duplicates` holds planted near-duplicates
    as (newer address, older address).
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
    """Writes `days` days of hour files, `YYYY-MM-DD-H.json.gz`, and `planted.json`, which says what is hidden in them.

    One hour of the last day has no file. The same arguments give the same bytes; the same seed with a later first day gives new issues
    of the same repositories, so that a sample can be continued (`planted.json` then speaks of the last call only).

    planted.json: `days`; `duplicates` (newer address, older address); `missing_hours` and `malformed_hours` ("2024-01-01-13");
    `malformed_lines` (how many); `opened_twice` (addresses of issues with two opened events, the second with another title), of which
    `opened_again_next_day` had the second on the following day; `forms` (a form of issue, such as "null body", and its addresses).

    Raises UsageError for fewer than one day, an issues_per_day outside 60 to 10,000, and a directory that is a file or
    holds a file for the hour that is to be missing.
    """
    if days < 1:
        raise UsageError(
            f"A sample of {days} days was asked for, at least 1 is needed.", "titler sample DIR --days 2"
        )
    if not FEWEST <= issues_per_day <= MOST:
        raise UsageError(f"{issues_per_day} issues a day were asked for, {FEWEST} to {MOST} are possible.")
    random = Random(f"{seed}/{first_day}")
    dates = [first_day + timedelta(days=number) for number in range(days)]
    absent, broken = random.sample(range(24), 2)
    missing = datetime.combine(dates[-1], time(absent))
    malformed = datetime.combine(dates[0], time(broken))
    _prepare(directory, _path(directory, missing))

    calendar = Calendar(random, World(Random(seed)), missing)
    files = events = 0
    for day in track(dates, "Writing the sample", len(dates)):
        hours = _lines(
            random,
            calendar.day(day, issues_per_day, last=day == dates[-1]),
            first_id=day.toordinal() * IDS_A_DAY * 10,
        )
        for number in range(24):
            hour = datetime.combine(day, time(number))
            if hour == missing:
                continue
            lines = hours[number]
            files, events = files + 1, events + len(lines)
            if hour == malformed:
                for line in MALFORMED:
                    lines.insert(random.randrange(len(lines) + 1), line)
            _write(_path(directory, hour), lines)

    planted = {
        "days": [day.isoformat() for day in dates],
        "duplicates": calendar.duplicates,
        "missing_hours": [_name(missing)],
        "malformed_hours": [_name(malformed)],
        "malformed_lines": len(MALFORMED),
        "opened_twice": calendar.opened_twice,
        "opened_again_next_day": calendar.opened_again_next_day,
        "forms": calendar.by_form,
    }
    (directory / "planted.json").write_text(json.dumps(planted, indent=1) + "\n", encoding="utf-8")
    return Sample(directory, dates, files, events, days * issues_per_day, calendar.duplicates)


def _name(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d}-{hour.hour}"


def _path(directory: Path, hour: datetime) -> Path:
    return directory / f"{_name(hour)}.json.gz"


def _prepare(directory: Path, missing: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise UsageError(
            f"{directory} is a file, a folder is needed.",
            "titler sample DIR, with a DIR that is empty or does not exist",
        )
    if missing.exists():
        raise UsageError(
            f"{missing} is there, but this sample leaves that hour out.",
            "Give an empty folder, or remove the file.",
        )
    directory.mkdir(parents=True, exist_ok=True)


def _lines(random: Random, events: Iterable[Event], first_id: int) -> dict[int, list[bytes]]:
    """hour -> lines; ids rise with time, lines are partly in ASCII and partly in UTF-8."""
    hours: dict[int, list[bytes]] = defaultdict(list)
    ids = count(first_id)
    for event in events:
        hours[event.moment.hour].append(event.line(next(ids), ascii_only=random.random() < 0.5))
    return hours


def _write(path: Path, lines: Iterable[bytes]) -> None:
    # neither a name nor a time in the header: the same lines, the same bytes
    with path.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as archive:
        archive.writelines(lines)
