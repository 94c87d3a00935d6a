"""Part of the stage `extract`: chooses the incomplete days that are checked again.

A check may read a day again and find fewer events than in the lake. Then the day's batch in the lake stays
the current batch. The files that were read are recorded, so that the next check does not read them again:

    ROOT/unused_extractions/2015-01-10.json
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, NamedTuple

from pipeline import warehouse
from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.fingerprint import fingerprint
from pipeline.lake.json_documents import Document, delete_and_repeat
from pipeline.lake.manifest import Manifest
from pipeline.settings import Settings
from pipeline.source.base_names import name_bases
from pipeline.source.day_verdict import DAY, usual_counts
from pipeline.source.hour_choice import HourChoice, needs_another_base
from pipeline.source.hour_names import HOURS
from pipeline.source.verdict_history import VerdictHistory
from pipeline.stages.extract_hours import files_read

FOLDER = "unused_extractions"


@dataclass(frozen=True)
class UnusedExtraction:
    """The record of an extraction that was not used, because the day's current batch is better.

    - `batch_id`: the current batch.
    - `files`: the identities of the hour files that were read.
    - `made_with`: a fingerprint of the other parameters of the extraction, such as its query.
    - `events_per_hour`: the number of events of each hour (0 to 23) in these files.
    - `still_available`: how much data the source still has, such as "23 of the 24 hours".
    - `of_rechecks`: whether the record applies only to rechecks of the day. If it does, any other
      request extracts the day again.
    """

    batch_id: str
    files: list[list[Any]]
    made_with: str
    events_per_hour: list[int]
    still_available: str
    of_rechecks: bool


UNUSED_DOCUMENT: Document[UnusedExtraction] = Document(
    UnusedExtraction,
    "the record of an extraction that was not used: an object with the keys batch_id and files",
    delete_and_repeat,
)


class DayRequest(NamedTuple):
    """A day to extract.

    `usual_per_hour` has the usual numbers of events of the hours 0 to 23. It is empty if these are not known.
    If `recheck` is true, the day is checked again: the lake has it, but it is not complete. Such a day is
    extracted again only if the source may have more events of it. If the new batch has fewer events than the
    existing one, it is not used.
    """

    day: date
    usual_per_hour: Sequence[int] = ()
    recheck: bool = False

    def expected(self, current: Manifest | None) -> list[int]:
        """Returns the number of events that is expected in each hour.

        It is the usual number or the number in the batch `current`, whichever is larger, and 0 if neither is
        known.
        """
        stored = (current.figures.get("events_per_hour") if current else None) or [0] * len(HOURS)
        return [max(pair) for pair in zip(self.usual_per_hour or [0] * len(HOURS), stored, strict=True)]


def recheck_requests(
    settings: Settings, days: Sequence[date], history: VerdictHistory, failed: Collection[str]
) -> list[DayRequest]:
    """Returns the incomplete days that are checked again: those among the `source.recheck_days` days before
    the first of `days`.

    If hour files come from several bases (folders or addresses), an hour with fewer events than usual is also
    read from the next base. The usual number may have become known only after `days` were read. So the
    incomplete days among `days` are checked again, too. Days in `failed` are left out, because some of their
    files could not be downloaded just now. Returns no days if the source is BigQuery.
    """
    if settings.warehouse.kind == "bigquery" or not days:
        return []
    recent = [min(days) - number * DAY for number in range(settings.source.recheck_days, 0, -1)]
    candidates = [*recent, *(sorted({*days}) if len(settings.source.bases) > 1 else ())]
    incomplete = [
        day
        for day in candidates
        if day in history and history[day].verdict != "complete" and str(day) not in failed
    ]
    return with_usual_counts([DayRequest(day, recheck=True) for day in incomplete], history)


def with_usual_counts(requests: Sequence[DayRequest], history: VerdictHistory) -> list[DayRequest]:
    """Returns copies of `requests` that have the usual number of events of each hour, if it is known."""
    usual = [usual_counts(request.day, history) for request in requests]
    return [
        request._replace(usual_per_hour=counts.events_per_hour if counts else ())
        for request, counts in zip(requests, usual, strict=True)
    ]


def has_other_files(
    figures: Mapping[str, Any], files: Sequence[list[Any]], choice: HourChoice, request: DayRequest
) -> bool:
    """Returns whether a day has an hour file that an earlier extraction did not read.

    `files` are the identities of the hour files that the earlier extraction read, and `figures` are its
    figures. For each hour in which that extraction found too few events, the function first adds the files
    of all bases (folders or addresses) to `choice`. Then it compares `choice` with `files`.
    """
    choice.add_all(needs_another_base(figures.get("events_per_hour") or (), request.usual_per_hour))
    return _has_others(choice, files)


def is_made_of(existing: Manifest, choice: HourChoice, parameters: Mapping[str, Any]) -> bool:
    """Returns whether the batch `existing` was made from all files of `choice`, and whether its other
    parameters are those in `parameters`."""
    files = files_read(existing.figures, existing.parameters)
    return _made_with(existing.parameters) == _made_with(parameters) and not _has_others(choice, files)


def _has_others(choice: HourChoice, files: Sequence[list[Any]]) -> bool:
    named = name_bases(files)
    return any(file.identity not in named for file in choice.files)


def may_be_better(
    existing: Manifest, day_source: warehouse.SourceTable | HourChoice, request: DayRequest
) -> bool:
    """Returns whether a new extraction may have more events than the batch `existing`.

    This is so if the source has hour files that were not read for `existing`.
    """
    if isinstance(day_source, warehouse.SourceTable):
        return False
    files = files_read(existing.figures, existing.parameters)
    return has_other_files(existing.figures, files, day_source, request)


def store_unused(
    lake: Lake,
    current: Manifest,
    choice: HourChoice,
    parameters: Mapping[str, Any],
    figures: Mapping[str, Any],
    still_available: str,
    *,
    of_rechecks: bool,
) -> None:
    """Records an extraction whose result is not used. The batch `current` stays the day's current batch.

    The files of `choice` were extracted with `parameters`. `figures` are the figures of the extraction.
    """
    unused = UnusedExtraction(
        current.batch_id,
        [file.identity for file in choice.files],
        _made_with(parameters),
        list(figures["events_per_hour"]),
        still_available,
        of_rechecks,
    )
    lake.put_json(_path(current.day), asdict(unused))


def unused_before(
    lake: Lake, current: Manifest, choice: HourChoice, parameters: Mapping[str, Any], request: DayRequest
) -> str:
    """Looks for the record of an unused extraction that read all files that the source has now. Returns how
    much data the source had then, for example "23 of the 24 hours".

    Returns an empty string if there is no record, or if it does not apply. It does not apply in these cases:

    - Another batch has become the current batch, or the other parameters of the extraction have changed.
    - The source has a file that the earlier extraction did not read.
    - The record applies only to rechecks, but `request` is not a recheck.
    """
    unused = lake.get_json(_path(current.day), UNUSED_DOCUMENT)
    if (
        unused is None
        or (unused.batch_id, unused.made_with) != (current.batch_id, _made_with(parameters))
        or (unused.of_rechecks and not request.recheck)
        or has_other_files({"events_per_hour": unused.events_per_hour}, unused.files, choice, request)
    ):
        return ""
    return unused.still_available


def _made_with(parameters: Mapping[str, Any]) -> str:
    return fingerprint(
        ISSUES.name, {}, (), {name: value for name, value in parameters.items() if name != "hours"}
    )


def _path(day: str) -> str:
    return f"{FOLDER}/{day}.json"
