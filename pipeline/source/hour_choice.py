"""Chooses, for each hour of a source day, the base from which the hour's events are read.

A base is a folder or an address that has hour files. Bases are in order of preference. An hour is first read
from the first base that has a file of it. If this file has no event, or at most a tenth of the usual number
of events, the hour is also read from the next base that has a file of it, and so on.

If an hour is read from several bases, the one with the most events of the hour is recorded as the base that
the hour was taken from. Issues and comments that only the other bases have are kept as well.

In a base of the kind `crawl-time`, an event is in the file of the hour in which it was crawled, which may be
later than the hour of the event. So the files of the following hours are read, too. Some of these hours
belong to the next day.

If a web server does not deliver a file, the hour is read from the next base.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pipeline.errors import SourceError
from pipeline.settings import HourBase, Source, public_address
from pipeline.source.base_names import base_names
from pipeline.source.day_verdict import HOURS_PER_DAY, is_thin
from pipeline.source.hour_files import HourFile, SourceDay, find_hours
from pipeline.source.hour_names import HOURS

DAY = timedelta(days=1)


@dataclass(frozen=True)
class ChosenFile:
    """An hour file to read.

    `rank` is the number of its base (the folder or address that has the file): 0 is the preferred base.
    `base` is the name of the base. `hours` are the hours of the day (UTC) whose events are read from the
    file; None means that all events are read. `number` is the hour of the file, counted from the start of the
    source day: 24 is the first hour of the next day.
    """

    rank: int
    base: str
    file: HourFile
    number: int
    hours: frozenset[int] | None

    @property
    def label(self) -> str:
        """The name under which the events of this file are counted.

        It is the file's name if the file is in the preferred base and is a file of the source day itself, not
        of the next day. Otherwise it is the name of the base and the file's name.
        """
        if self.rank or self.number >= HOURS_PER_DAY:
            return f"{self.base}/{self.file.name}"
        return self.file.path.rsplit("/", 1)[-1]

    @property
    def identity(self) -> list[Any]:
        """Values that change when the file changes: hour, size, stamp and base.

        The base is left out if it is the preferred base and of the kind `gharchive`. Earlier versions of
        Titler left it out, too. So the values of an unchanged file are equal to those that are stored in the
        batches of these versions.
        """
        identity = [self.number, self.file.size, self.file.stamp]
        return identity if not self.rank and self.hours is None else [*identity, self.base]


class HourChoice:
    """The bases (folders and addresses with hour files) from which the hours of a source day are read.

    The files of a base are listed only when they are needed. A base that cannot be reached, or that has no
    hour files, is treated as a base without files of the day. A file that cannot be read, because its server
    does not answer, is left out. `unreachable` maps the rank of a base to the first error of the base or of
    its files.

    Raises SourceError in these cases:

    - No base can be reached.
    - The preferred base cannot be reached, and no other base has a file of the day.
    - The preferred base does not say whether it has the file of an hour, and no other base has such a file.
    """

    def __init__(self, source: Source, day: date) -> None:
        self.bases = [HourBase(base=base.base.rstrip("/") or "/", kind=base.kind) for base in source.bases]
        self.names = base_names(self.bases)
        self.day = day
        self._late_hours = source.late_hours
        self._days: dict[int, SourceDay] = {}
        self._next_days: dict[int, SourceDay] = {}
        self._ranks: dict[int, list[int]] = {hour: [] for hour in HOURS}
        self._left_out: dict[tuple[int, int], SourceError] = {}
        self.unreachable: dict[int, SourceError] = {}
        self.add(HOURS)
        if 0 in self.unreachable and not any(self._ranks.values()):
            raise self.unreachable[0]
        self.check_preferred([hour for hour, ranks in self._ranks.items() if ranks])

    def leave_out(self, file: ChosenFile, error: SourceError) -> None:
        """Leaves out a file that could not be downloaded.

        The next call of `add` with the hour of this file then adds the next base for this hour.
        """
        self._fail(file.rank, file.number, error)
        ranks = self._ranks.get(file.number, [])
        if file.rank in ranks:
            ranks.remove(file.rank)

    def check_preferred(self, hours: Collection[int]) -> None:
        """Raises SourceError if a file of the preferred base was left out and its hour is not in `hours`.

        `hours` are the hours of the day that have data. If the files have not been read yet, these are the
        hours of which a base has a file. If the files have been read, these are the hours with events.
        """
        for (rank, number), error in sorted(self._left_out.items(), key=lambda item: item[0]):
            if rank == 0 and number not in hours:
                raise error

    def _fail(self, rank: int, number: int, error: SourceError) -> None:
        self._left_out[rank, number] = error
        self.unreachable.setdefault(rank, error)

    @property
    def unreachable_names(self) -> list[str]:
        """The names of the bases that have an error in `unreachable`."""
        return [self.names[rank] for rank in sorted(self.unreachable)]

    @property
    def unreachable_messages(self) -> list[str]:
        """One message per base that could not be reached, or that did not deliver some of its files."""
        counts = Counter(rank for rank, _ in self._left_out)
        return [
            error.message + (f" (and {counts[rank] - 1} more files)" if counts[rank] > 1 else "")
            for rank, error in sorted(self.unreachable.items())
        ]

    def add(self, hours: Iterable[int]) -> bool:
        """For each of these hours, finds the next base (folder or address) that has a file of the hour. Adds
        it to the bases from which the hour is read.

        Returns whether a base was added for at least one of the hours.
        """
        added = False
        for hour in hours:
            ranks = self._ranks[hour]
            for rank in range(ranks[-1] + 1 if ranks else 0, len(self.bases)):
                if self._file(rank, hour) is not None:
                    ranks.append(rank)
                    added = True
                    break
        return added

    def add_all(self, hours: Iterable[int]) -> None:
        """Like `add`, but adds all bases (folders and addresses) that have a file of the hour."""
        hours = list(hours)
        while self.add(hours):
            pass

    @property
    def files(self) -> list[ChosenFile]:
        """The files to read. They are sorted by base, with the preferred base first, and then by hour."""
        return [file for rank in range(len(self.bases)) for file in self._files_of(rank)]

    @property
    def other_names(self) -> list[str]:
        """Files that seem to be of the day, but whose names are not valid names of hour files. Only the bases
        whose files were listed are searched."""
        return [
            f"{public_address(self.bases[rank].base)}/{name}"
            for rank, day in sorted(self._days.items())
            for name in day.other_names
        ]

    @property
    def late_hours_missing(self) -> list[int]:
        """The hours whose files could have late events of the day, but are missing in a base of the kind
        `crawl-time`. They are counted from the start of the day: 24 is the first hour of the next day."""
        missing: set[int] = set()
        for rank in range(len(self.bases)):
            if self._is_crawled(rank):
                existing = {file.number for file in self._files_of(rank)}
                missing |= self._numbers(rank) - existing
        return sorted(missing)

    def taken_from(self, events: Mapping[str, int], crawled: Mapping[str, Mapping[int, int]]) -> list[Hour]:
        """Returns one entry for each hour of the day: the file that has the most events of this hour, and the
        number of these events.

        `events` maps the label of each file to the number of events in the file. This number is used if the
        base is of the kind `gharchive`, because a file then has the events of one hour. In a base of the kind
        `crawl-time`, a file also has events of other hours. So `crawled` is used instead: it maps the base's
        name to a dict from each hour to the number of events of this hour in the base's files.
        """
        by_hour = {(file.rank, file.number): file for file in self.files}
        hours = []
        for hour in HOURS:
            best = Hour(hour, None, 0)
            for rank in self._ranks[hour]:
                file = by_hour[rank, hour]
                count = events.get(file.label, 0)
                if count and file.hours is not None:
                    count = crawled.get(file.base, {}).get(hour, 0)
                if best.file is None or count > best.events:
                    best = Hour(hour, file, count)
            hours.append(best)
        return hours

    def _files_of(self, rank: int) -> list[ChosenFile]:
        numbers = self._numbers(rank)
        if not numbers:
            return []
        base = self.names[rank]
        hours = self._hours(rank) if self._is_crawled(rank) else None
        by_number = {file.hour: file for file in self._base_day(rank).files}
        if max(numbers) >= HOURS_PER_DAY:
            by_number |= {HOURS_PER_DAY + file.hour: file for file in self._next_day(rank).files}
        return [
            ChosenFile(rank, base, file, number, hours)
            for number, file in by_number.items()
            if number in numbers and (rank, number) not in self._left_out
        ]

    def _numbers(self, rank: int) -> set[int]:
        """Returns the hours whose files are read from a base, counted from the start of the day."""
        late = self._late_hours if self._is_crawled(rank) else 0
        return {hour + later for hour in self._hours(rank) for later in range(late + 1)}

    def _hours(self, rank: int) -> frozenset[int]:
        return frozenset(hour for hour, ranks in self._ranks.items() if rank in ranks)

    def _is_crawled(self, rank: int) -> bool:
        return self.bases[rank].kind == "crawl-time"

    def _file(self, rank: int, hour: int) -> HourFile | None:
        if (rank, hour) in self._left_out:
            return None
        return next((file for file in self._base_day(rank).files if file.hour == hour), None)

    def _base_day(self, rank: int) -> SourceDay:
        if rank not in self._days:
            self._days[rank] = self._find(rank, self.day, HOURS)
        return self._days[rank]

    def _next_day(self, rank: int) -> SourceDay:
        if rank not in self._next_days:
            following = range(self._late_hours)
            self._next_days[rank] = self._find(rank, self.day + DAY, following)
        return self._next_days[rank]

    def _find(self, rank: int, day: date, hours: Collection[int]) -> SourceDay:
        try:
            source_day = find_hours(self.bases[rank].base, day, hours)
        except SourceError as error:
            if rank == 0 and day != self.day:
                raise  # other hours of the preferred base are read: it answered a moment ago
            self.unreachable[rank] = error
            return SourceDay(day, (), tuple(hours))
        for hour, failure in source_day.failed.items():
            self._fail(rank, hour + (0 if day == self.day else HOURS_PER_DAY), failure)
        return source_day


@dataclass(frozen=True)
class Hour:
    """An hour of a source day, the file that it is taken from, and its number of events. The file is None if
    no base (folder or address) has a file of this hour."""

    hour: int
    file: ChosenFile | None
    events: int


def needs_another_base(hours: Sequence[int], usual_per_hour: Sequence[int]) -> list[int]:
    """Returns the hours that must also be read from another base: those with too few events.

    These are the hours without an event, and the hours with at most a tenth of the usual events. `hours` has
    the numbers of events in the hours 0 to 23. `usual_per_hour` has the usual numbers, or is empty if they
    are not known.
    """
    return [
        hour
        for hour, events in enumerate(hours)
        if not events or (usual_per_hour and is_thin(events, usual_per_hour[hour]))
    ]
