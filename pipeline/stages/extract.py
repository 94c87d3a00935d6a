"""Stage `extract`: reads a day of GH Archive (the public events on GitHub) and stores its issues.

The day is read from hour files or from a table in BigQuery. The issues are written to the table issues_v1,
comments that call an issue a duplicate to the table duplicate_marks_v1, and the verdict on the day's data to
the table source_health_v1. Malformed lines are written to the lake's folder `quarantine`.

A day that an earlier version of Titler extracted has no duplicate marks. It gets them when it is extracted
again, which happens only if the user says so or if the source has changed: BigQuery bills every extraction.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import warehouse
from pipeline.compute.cluster import map_shards
from pipeline.compute.derived_batches import Outcome
from pipeline.contracts import DUPLICATE_MARKS, ISSUES, QUARANTINE
from pipeline.errors import BudgetError, OversizedDayError, SourceError
from pipeline.lake.batches import Lake
from pipeline.lake.day_catalogue import CurrentHealth
from pipeline.lake.draft import Draft
from pipeline.lake.manifest import RECHECKED, Manifest
from pipeline.settings import Settings
from pipeline.source.day_verdict import DAY, is_thin, usual_counts
from pipeline.source.hour_choice import HourChoice, needs_another_base
from pipeline.source.hour_names import HOURS
from pipeline.source.trainable import REASONS, WORD, count_untrainable, thresholds
from pipeline.source.verdict_history import VerdictHistory, judge_day
from pipeline.stages.extract_hours import HoursRead, files_read, read_hours, read_table
from pipeline.stages.extract_marks import make_marks_current, write_marks
from pipeline.stages.recounted_words import reuse_extracted

ROWS_PER_PART = 100_000
DAYS_WORTH_A_CLUSTER = 29
"""Minimum number of days for which a local Dask cluster is started. For fewer days, starting the cluster
takes more time than the cluster saves."""


OVERSIZED_DAYS_LISTED = 5
_REFUSALS: dict[str, BudgetError] = {}
"""The error of each run of a command, by its id, whose budget did not suffice for a day. The run's other days
would be refused, too, so BigQuery is not asked about them."""


class DayRequest(NamedTuple):
    """A day to extract. `usual_per_hour` has the usual events of the hours 0 to 23; it is empty if they are
    not known.

    If `recheck` is true, the day is in the lake and is not complete. It is extracted again only if the source
    may have more events of it, and the new batch is kept only if it does not have fewer.
    """

    day: date
    usual_per_hour: Sequence[int] = ()
    recheck: bool = False

    def expected(self, current: Manifest | None) -> list[int]:
        """Returns the usual events of the hours, or those of the batch `current` if they are more; 0 if none
        are known."""
        stored = (current.figures.get("events_per_hour") if current else None) or [0] * len(HOURS)
        return [max(pair) for pair in zip(self.usual_per_hour or [0] * len(HOURS), stored, strict=True)]


class RefusedDay(NamedTuple):
    """A day that was not extracted because the budget does not suffice, and the error that says so."""

    day: date
    error: BudgetError


class UncheckedDay(NamedTuple):
    """A day that could not be checked again, and the error that says why. It stays as it is."""

    day: date
    error: SourceError


class ExtractedDay(NamedTuple):
    """The result of extracting one day: its batch of issues, and whether this batch is new.

    If the source has lost data of the day since an earlier extraction, the earlier batch is kept. Then
    `still_available` says what the source still has, such as "23 of the 24 hours". Otherwise it is empty.
    """

    manifest: Manifest
    is_new: bool
    still_available: str = ""


def extraction_query(settings: Settings) -> warehouse.Query:
    """Returns the query of `sql/extract_issues.sql`. Its parameters are the minimum and maximum lengths of
    titles and bodies in the settings; they decide which issues are trainable."""
    return warehouse.Query.from_file("extract_issues", **thresholds(settings.text))


def batch_parameters(
    query: warehouse.Query, day_source: warehouse.SourceTable | HourChoice
) -> dict[str, Any]:
    """Returns the parameters that identify a day's batch of issues: the query, and what the source has of the
    day.

    The source is described by its hour files with their sizes, or by the name and the number of rows of its
    table. If these parameters change, the day is extracted again. They do not describe the files that were
    read because an hour had too few events.
    """
    if isinstance(day_source, warehouse.SourceTable):
        made_of: dict[str, Any] = {"table": day_source.name, "table_rows": day_source.rows}
    else:
        made_of = {"hours": [file.identity for file in day_source.files]}
    return {**made_of, "query": query.digest, **query.parameters}


def lost_data(stored: Mapping[str, Any], available: Mapping[str, Any]) -> str:
    """Checks whether the source has lost data of a day since the day was extracted.

    Returns what the source still has, for example "23 of the 24 hours", or an empty string if no data was
    lost. Both arguments are results of `batch_parameters`: `stored` describes what the existing batch was
    made from, and `available` describes what the source has now. If they have different queries or kinds of
    source, they cannot be compared, and the result is also an empty string.
    """
    ignored = ("hours", "table_rows", WORD)  # words can be counted again without the source
    other_before, other_now = (
        {name: value for name, value in parameters.items() if name not in ignored}
        for parameters in (stored, available)
    )
    if other_before != other_now or ("hours" in stored) != ("hours" in available):
        return ""
    if "hours" in available:
        hours_before, hours_now = (
            {hour for hour, *_ in parameters["hours"] if hour in HOURS} for parameters in (stored, available)
        )
        return f"{len(hours_now)} of the {len(hours_before)} hours" if hours_now < hours_before else ""
    rows_before, rows_now = (parameters["table_rows"] or 0 for parameters in (stored, available))
    return f"{rows_now:,} of the {rows_before:,} events" if rows_now < rows_before else ""


def extract_day(
    request: DayRequest, lake: Lake, settings: Settings, again: bool, run_id: str
) -> ExtractedDay:
    """Extracts the issues of a day. Keeps an existing batch if it was made from the data that the source has
    now, or if the source has lost data since.

    If `again` is true, the day is always extracted. `run_id` identifies the run of the command: the bytes
    that BigQuery bills count against the budget of this run.
    """
    day = request.day
    connection = warehouse.connect(settings, "extract", run_id)
    day_source = connection.source_day(day) or HourChoice(settings.source, day)
    query = extraction_query(settings)
    partition = {"day": day.isoformat()}
    parameters = batch_parameters(query, day_source)
    current = lake.current(ISSUES.name, partition)
    if not again:
        if current is not None and (available := lost_data(current.parameters, parameters)):
            return ExtractedDay(current, False, available)
        reused = reuse_extracted(lake, partition, parameters)
        if reused is not None and not (
            request.recheck and _has_other_files(reused.manifest, day_source, request)
        ):
            if current is None or current.batch_id != reused.manifest.batch_id:
                make_marks_current(lake, reused.manifest)
            return ExtractedDay(*reused)

    if run_id in _REFUSALS:
        raise _REFUSALS[run_id]
    draft = lake.draft(ISSUES.name, partition, (), parameters)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        if isinstance(day_source, warehouse.SourceTable):
            attempt = current.batch_id if again and current else ""
            extraction = connection.extract(query, day, [], attempt=attempt)
            read = read_table(extraction, day_source.name)
        else:
            read = read_hours(connection, query, day_source, request.expected(current), Path(folder))
        trainable, untrainable = _write_issues(draft, read, settings)
    extraction = read.extraction
    figures: dict[str, Any] = {
        **read.figures,
        "malformed": len(extraction.malformed) + extraction.omitted_malformed,
        "malformed_issues": extraction.malformed_issues,
        "trainable": trainable,
        "untrainable": untrainable,
        **({RECHECKED: True} if request.recheck else {}),
    }
    if current is not None and not again:
        available = _lost_events(current, parameters, figures)
        if available or (request.recheck and figures["events"] < current.figures["events"]):
            draft.discard()
            return ExtractedDay(current, False, available)
    figures[DUPLICATE_MARKS.name] = write_marks(lake, draft, read.with_source(extraction.comments))
    if extraction.cost:
        figures["cost"] = dict(extraction.cost)
    if len(extraction.malformed):
        figures["quarantine"] = _write_quarantine(lake, partition, draft, extraction.malformed)
    return ExtractedDay(draft.commit(figures), True)


def _has_other_files(
    existing: Manifest, day_source: warehouse.SourceTable | HourChoice, request: DayRequest
) -> bool:
    """Returns whether the source has hour files from which `existing` was not read, but which may have more
    events of an hour that has none, or too few. Then they are added to `day_source`."""
    if isinstance(day_source, warehouse.SourceTable):
        return False
    events_per_hour = existing.figures.get("events_per_hour") or ()
    day_source.add_all(needs_another_base(events_per_hour, request.usual_per_hour))
    files = files_read(existing.figures, existing.parameters)
    return any(file.identity not in files for file in day_source.files)


def _lost_events(current: Manifest, parameters: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Checks whether the source has lost events of a day since `current` was extracted. `parameters` and
    `figures` are those of the new extraction. Returns what the source still has, like `lost_data`."""
    before, now = (
        _with_found_hours(current.parameters, current.figures),
        _with_found_hours(parameters, figures),
    )
    if available := lost_data(before, now):
        return available
    if "hours" not in now or current.parameters.get("query") != parameters["query"]:
        return ""
    pairs = enumerate(
        zip(current.figures.get("events_per_hour") or (), figures["events_per_hour"], strict=False)
    )
    return next(
        (
            f"{events:,} of the {events_before:,} events of hour {hour}"
            for hour, (events_before, events) in pairs
            if is_thin(events, events_before)
        ),
        "",
    )


def extract_or_refuse(
    request: DayRequest, lake: Lake, settings: Settings, again: bool, run_id: str
) -> ExtractedDay | RefusedDay | UncheckedDay:
    """Extracts the issues of a day as `extract_day` does, unless the budget does not suffice. If the day is
    to be checked again, an unreachable source is no error: new days must not wait for it."""
    try:
        return extract_day(request, lake, settings, again, run_id)
    except OversizedDayError as error:  # other days may be smaller
        return RefusedDay(request.day, error)
    except BudgetError as error:
        _REFUSALS[run_id] = error
        return RefusedDay(request.day, error)
    except SourceError as error:
        if not request.recheck:
            raise
        return UncheckedDay(request.day, error)


def _with_found_hours(parameters: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a batch with only those hours from which an event was read."""
    found = [[hour] for hour in HOURS if hour not in figures["hours_missing"]]
    return {**parameters, **({"hours": found} if "hours" in parameters else {})}


def _write_issues(draft: Draft, read: HoursRead, settings: Settings) -> tuple[int, dict[str, int]]:
    """Writes issues into the unfinished batch `draft`. Returns the number of trainable issues, and the number
    of untrainable issues for each reason."""
    limits = thresholds(settings.text)
    trainable, untrainable = 0, Counter(dict.fromkeys(REASONS, 0))
    for number, part in enumerate(split_into_parts(read.extraction.issues)):
        draft.write_table(f"part-{number:05d}.parquet", read.with_source(part), ISSUES)
        trainable += pc.sum(part.column("trainable")).as_py() or 0
        untrainable.update(count_untrainable(part, limits))
    return trainable, dict(untrainable)


def _write_quarantine(lake: Lake, partition: dict[str, str], issues: Draft, malformed: pa.Table) -> str:
    """Stores the malformed lines of a day as a batch in the lake's folder `quarantine`. Returns the path of
    the batch."""
    draft = lake.draft(QUARANTINE, partition, (), {"issues_batch": issues.batch_id})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in malformed.to_pylist())
    draft.write_file("malformed.jsonl", lines.encode(errors="replace"), len(malformed))
    return draft.commit().folder


def split_into_parts(issues: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yields the rows of `issues` in tables of ROWS_PER_PART rows; the last table may have fewer. Only one
    table is in memory at a time."""
    pending: list[pa.RecordBatch] = []
    rows = 0
    for batch in issues:
        while rows + len(batch) >= ROWS_PER_PART:
            head = batch.slice(0, ROWS_PER_PART - rows)
            yield pa.Table.from_batches([*pending, head])
            pending, rows, batch = [], 0, batch.slice(len(head))
        if len(batch):
            pending.append(batch)
            rows += len(batch)
    if pending:
        yield pa.Table.from_batches(pending)


def run(
    lake: Lake, settings: Settings, days: Sequence[date], *, again: bool = False
) -> tuple[Outcome, list[dict[str, Any]]]:
    """Extracts the issues of several days.

    Returns one batch of the table issues_v1 per day, and one row of the table source_health_v1 per day. An
    existing batch of a day is kept if it was made from the data that the source has now, or if the source has
    lost data since. If `again` is true, all `days` are extracted.

    Checks the `source.recheck_days` days before the first day again that are not complete. Those that were
    extracted again are part of the result.

    If the budget for BigQuery suffices only for some of the days, these are returned. Then the result has a
    `refusal`: the caller reports the result, and raises this error, which names the other days. Raises
    BudgetError if the budget suffices for no day. Raises SourceError if the source cannot be reached or does
    not have GH Archive's format.
    """
    _REFUSALS.pop(warehouse.RUN_ID, None)
    requests = [DayRequest(day) for day in days]
    if len(settings.source.bases) > 1:
        requests = _with_usual_counts(requests, VerdictHistory(CurrentHealth(lake)))
    results = _extract_days(requests, lake, settings, again)
    extracted = {result.manifest.day: result for result in results if isinstance(result, ExtractedDay)}
    refused = [result for result in results if isinstance(result, RefusedDay)]
    refusal = _refusal(refused, len(days), again) if refused else None
    if refusal and not extracted:
        raise refusal
    history = VerdictHistory(CurrentHealth(lake))
    health = {day: judge_day(lake, extracted[day].manifest, history) for day in sorted(extracted)}
    rechecks = recheck_requests(settings, days, history)
    unchecked = {}
    for result in _extract_days(rechecks, lake, settings, again=False):
        if isinstance(result, ExtractedDay) and result.is_new:
            extracted[result.manifest.day] = result
        elif isinstance(result, UncheckedDay):
            unchecked[str(result.day)] = result.error.message
    for day in sorted(extracted):
        if any(date.fromisoformat(day) == request.day for request in rechecks):
            health[day] = judge_day(lake, extracted[day].manifest, history)
    unchanged = {day: result.still_available for day, result in extracted.items() if result.still_available}
    manifests = tuple(result.manifest for result in extracted.values())
    made = sum(result.is_new for result in extracted.values())
    outcome = Outcome(manifests, made, unchanged, refusal=refusal, unchecked_days=unchecked)
    return outcome, [health[day] for day in sorted(health)]


def _extract_days(
    requests: Sequence[DayRequest], lake: Lake, settings: Settings, again: bool
) -> list[ExtractedDay | RefusedDay | UncheckedDay]:
    return map_shards(
        extract_or_refuse,
        list(requests),
        lake,
        settings,
        again,
        warehouse.RUN_ID,
        label="extract",
        compute=settings.compute,
        worth_a_cluster=len(requests) >= DAYS_WORTH_A_CLUSTER,
    )


def recheck_requests(settings: Settings, days: Sequence[date], history: VerdictHistory) -> list[DayRequest]:
    """Returns the days of hour files to check again, because they are not complete: the last days before
    `days`, and `days` themselves if there are several bases. When they were read, it was perhaps not known
    how many events are usual."""
    if settings.warehouse.kind == "bigquery" or not days:
        return []
    recent = [min(days) - number * DAY for number in range(settings.source.recheck_days, 0, -1)]
    candidates = [*recent, *(sorted({*days}) if len(settings.source.bases) > 1 else ())]
    incomplete = [day for day in candidates if day in history and history[day].verdict != "complete"]
    return _with_usual_counts([DayRequest(day, recheck=True) for day in incomplete], history)


def _with_usual_counts(requests: Sequence[DayRequest], history: VerdictHistory) -> list[DayRequest]:
    """Returns the requests with the usual events of each hour, as far as they are known."""
    usual = [usual_counts(request.day, history) for request in requests]
    return [
        request._replace(usual_per_hour=counts.events_per_hour if counts else ())
        for request, counts in zip(requests, usual, strict=True)
    ]


def _refusal(refused: Sequence[RefusedDay], days: int, again: bool) -> BudgetError:
    """Returns the error about those of `days` days that were not extracted because the budget does not
    suffice. It names the days, and the command that continues. With `again`, the same command would extract
    the other days once more. Days that need more than a whole budget are named one by one."""
    if days == 1:
        return refused[0].error
    oversized = [day for day in refused if isinstance(day.error, OversizedDayError)]
    waiting = [day for day in refused if not isinstance(day.error, OversizedDayError)]
    messages, hints = [], []
    if waiting:
        error, first, last = waiting[0].error, waiting[0].day, waiting[-1].day
        command = f"titler extract --from {first} --to {last}{' --again' if again else ''}"
        which = "To continue with the days that are left"
        left = f"{len(waiting)} days are left." if len(waiting) > 1 else "1 day is left."
        messages.append(f"{error.message} {left}")
        if again:
            hints.append(f"{which}, type this command, after midnight UTC or with a larger budget: {command}")
        else:
            hints.append(f"{error.hint}\n{which}: {command}")
    else:
        error = oversized[0].error
    messages += [day.error.message for day in oversized[:OVERSIZED_DAYS_LISTED]]
    hints += [day.error.hint for day in oversized[:OVERSIZED_DAYS_LISTED]]
    if unlisted := oversized[OVERSIZED_DAYS_LISTED:]:
        messages.append(f"{len(unlisted)} more days, up to {unlisted[-1].day}, are also too large.")
    return type(error)("\n".join(messages), "\n".join(hints), event=error.event)
