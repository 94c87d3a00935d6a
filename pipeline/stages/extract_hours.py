"""Part of the stage `extract`: reads the hour files of a day, from one or several bases.

A base is a folder or an address that has hour files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline import warehouse
from pipeline.errors import SourceError
from pipeline.lake.forgotten import Matcher
from pipeline.source import hour_files
from pipeline.source.hour_choice import ChosenFile, Hour, HourChoice, needs_another_base
from pipeline.source.hour_names import HOURS
from pipeline.source.verdict_history import UNREACHABLE

CONNECTIONS = 4


class HoursRead(NamedTuple):
    """The result of reading a day: the extracted issues and comments, figures, and the origin of the rows.

    `figures` describe the day's hours. They are stored in the manifest of the batch of issues. `source` is
    the base of hour files, or the table in BigQuery, from which the rows were read. If there are several
    bases, `bases` maps the label of each hour file to its base.
    """

    extraction: warehouse.Extraction
    figures: dict[str, Any]
    source: str
    bases: Mapping[str, str]

    def with_source(self, rows: pa.Table) -> pa.Table:
        """Adds the column `source` to issues or comments. It says where the event of each row was read
        from."""
        labels = self.extraction.labels
        sources = pa.repeat(pa.scalar(self.source, pa.string()), len(rows))
        if labels:
            event_ids = rows.column("event_id").to_pylist()
            sources = pa.array([self.bases[labels[event_id]] for event_id in event_ids], pa.string())
        return rows.append_column("source", sources)

    def without_forgotten(self, matcher: Matcher) -> HoursRead:
        """Returns a copy of this result without the issues and malformed lines that `matcher` recognises as
        forgotten.

        All comments stay in the copy, because the lake does not store them. It stores only the duplicate
        marks that are found in them, and `write_marks` leaves out the forgotten marks.
        """
        extraction = self.extraction
        issues = (
            batch.filter(pa.array(~matcher.mask(pa.Table.from_batches([batch]))))
            for batch in extraction.issues
        )
        lines = extraction.malformed.column("text").to_pylist()
        keep = pa.array([not matcher.is_in_text(line) for line in lines], pa.bool_())
        remaining = replace(
            extraction,
            issues=pa.RecordBatchReader.from_batches(extraction.issues.schema, issues),
            malformed=extraction.malformed.filter(keep),
        )
        return self._replace(extraction=remaining)


def read_hours(
    connection: warehouse.Warehouse,
    query: warehouse.Query,
    choice: HourChoice,
    usual_per_hour: Sequence[int],
    folder: Path,
) -> HoursRead:
    """Extracts a day from its hour files, which are downloaded to `folder`. `choice` says which files.

    If an hour has no event, or at most a tenth of its usual events, the file of the next base that has this
    hour is added to `choice`. Then the day is extracted again, from all files. This is repeated until no hour
    has too few events, or no other base has a file of such an hour. `usual_per_hour` has the usual numbers of
    events of the hours 0 to 23. It is empty if these are not known.

    A file that cannot be downloaded is left out. Raises SourceError if the preferred base's file of an hour
    was left out, and no other base has events of this hour.
    """
    paths: dict[str, Path] = {}
    while True:
        _fetch(choice, folder, paths)
        files = choice.files
        extraction = connection.extract(query, choice.day, [_source_file(file, paths) for file in files])
        hours = choice.taken_from(extraction.events_per_file, extraction.crawled_per_hour)
        incomplete = needs_another_base([hour.events for hour in hours], usual_per_hour)
        if not choice.add(incomplete):
            break
    choice.check_preferred([hour.hour for hour in hours if hour.events])
    bases = {file.label: file.base for file in files}
    source = next(iter(bases.values()), "")
    return HoursRead(extraction, _figures(choice, files, hours, extraction, paths), source, bases)


def files_read(figures: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[list[Any]]:
    """Returns the identities of the hour files from which a batch of issues was read. `figures` and
    `parameters` are those of the batch. In batches of earlier versions of Titler, only the parameters list
    the files."""
    return list(figures.get("files", parameters.get("hours", ())))


def read_table(extraction: warehouse.Extraction, table: str) -> HoursRead:
    """Returns the result of reading a day from the BigQuery table `table`."""
    events_per_hour = [extraction.events_per_hour.get(hour, 0) for hour in HOURS]
    figures = {
        **_hours_found(events_per_hour),
        "hours_unreadable": [],
        "events_per_hour": events_per_hour,
        "hour_sources": [table if events else "" for events in events_per_hour],
        "hour_digests": ["" for _ in HOURS],
        "late_hours_missing": [],
        "events": extraction.events,
    }
    return HoursRead(extraction, figures, table, {})


def _fetch(choice: HourChoice, folder: Path, paths: dict[str, Path]) -> None:
    """Downloads the files of `choice` that are not in `paths` yet, and adds their paths by label. Files that
    cannot be downloaded are left out of `choice`."""
    files = [file for file in choice.files if file.label not in paths]
    for rank in sorted({file.rank for file in files}):
        of_base = [file for file in files if file.rank == rank]
        fetched = hour_files.fetch([file.file for file in of_base], folder / str(rank))
        for file, path in zip(of_base, fetched, strict=True):
            if isinstance(path, SourceError):
                choice.leave_out(file, path)
            else:
                paths[file.label] = path


def _source_file(file: ChosenFile, paths: Mapping[str, Path]) -> warehouse.SourceFile:
    is_following = file.number not in (file.hours or HOURS)
    return warehouse.SourceFile(paths[file.label], file.label, file.base, file.hours, is_following)


def _figures(
    choice: HourChoice,
    files: Sequence[ChosenFile],
    hours: Sequence[Hour],
    extraction: warehouse.Extraction,
    paths: Mapping[str, Path],
) -> dict[str, Any]:
    chosen_files = [hour.file if hour.events else None for hour in hours]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        digests = list(pool.map(lambda file: _digest(paths[file.label]) if file else "", chosen_files))
    events_per_hour = [hour.events for hour in hours]
    late_unreadable = {
        file.number
        for file in files
        if file.hours is not None and not extraction.events_per_file.get(file.label)
    }
    own_hours = {file.number for file in files if file.number in (file.hours or HOURS)}
    return {
        **_hours_found(events_per_hour),
        "hours_unreadable": [hour.hour for hour in hours if hour.file and not hour.events],
        "events_per_hour": events_per_hour,
        "hour_sources": [file.base if file else "" for file in chosen_files],
        "hour_digests": digests,
        "late_hours_missing": sorted({*choice.late_hours_missing, *(late_unreadable - own_hours)}),
        "events": sum(events_per_hour),
        **({"files": [file.identity for file in files]} if len(choice.bases) > 1 else {}),
        **({"other_names": choice.other_names} if choice.other_names else {}),
        **({UNREACHABLE: choice.unreachable_names} if choice.unreachable else {}),
    }


def _hours_found(events_per_hour: Sequence[int]) -> dict[str, Any]:
    return {
        "hours_found": sum(1 for events in events_per_hour if events),
        "hours_missing": [hour for hour, events in enumerate(events_per_hour) if not events],
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
