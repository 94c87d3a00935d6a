"""Stage `extract`: reads a day of GH Archive (the public events on GitHub) and stores its issues.

The day is read from hour files or from a table in BigQuery. The issues go to the table issues_v1. Comments
that call an issue a duplicate go to duplicate_marks_v1. The verdict on the day's data (such as "complete")
goes to source_health_v1. Malformed lines go to the lake's folder `quarantine`.

A day that an earlier version of Titler extracted has no duplicate marks. It gets them when it is extracted
again. This happens only if the user requests it or if the source has changed, because BigQuery bills every
extraction.
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
from pipeline.lake.forgotten import ForgottenList
from pipeline.lake.manifest import RECHECKED, Manifest
from pipeline.settings import Settings
from pipeline.source.base_names import with_base_names
from pipeline.source.hour_choice import HourChoice
from pipeline.source.trainable import REASONS, count_untrainable, thresholds
from pipeline.source.verdict_history import VerdictHistory, judge_day
from pipeline.stages.extract_hours import HoursRead, read_hours, read_table
from pipeline.stages.extract_marks import make_marks_current, write_marks
from pipeline.stages.extract_refusals import RefusedDay, refusal_of
from pipeline.stages.lost_data import fewer_events, lost_data, lost_events
from pipeline.stages.rechecked_days import (
    DayRequest,
    is_made_of,
    may_be_better,
    recheck_requests,
    store_unused,
    unused_before,
    with_usual_counts,
)
from pipeline.stages.recounted_words import reuse_extracted

ROWS_PER_PART = 100_000
DAYS_WORTH_A_CLUSTER = 29
"""Minimum number of days for which a local Dask cluster is started. For fewer days, starting the cluster
takes more time than the cluster saves."""

_REFUSALS: dict[str, BudgetError] = {}
"""If the budget of a run of a command did not suffice for a day, maps the id of the run to the error. The
run's other days would be refused, too, so no request is sent to BigQuery for them."""


class UncheckedDay(NamedTuple):
    """A day that could not be checked again, and the error that says why. Its existing batch stays in use."""

    day: date
    error: SourceError


class ExtractedDay(NamedTuple):
    """The result of extracting one day: its batch of issues, and whether this batch is new.

    If the source has lost data of the day since an earlier extraction, the earlier batch is kept, and
    `still_available` says how much data the source still has, such as "23 of the 24 hours". In all other
    cases, `still_available` is empty. `unreachable` has the errors of the bases (folders or addresses of hour
    files) that could not be reached, or that did not deliver all files.
    """

    manifest: Manifest
    is_new: bool
    still_available: str = ""
    unreachable: tuple[str, ...] = ()


def extraction_query(settings: Settings) -> warehouse.Query:
    """Returns the query of `sql/extract_issues.sql`. Its parameters are the settings for the minimum and
    maximum lengths of titles and bodies. These decide which issues are trainable."""
    return warehouse.Query.from_file("extract_issues", **thresholds(settings.text))


def batch_parameters(
    query: warehouse.Query, day_source: warehouse.SourceTable | HourChoice
) -> dict[str, Any]:
    """Returns the parameters that identify a day's batch of issues: the query, and the source's data of the
    day.

    The data is described by the names and sizes of the hour files, or by the name and the number of rows of
    the table. If these parameters change, the day is extracted again. If an hour has too few events,
    additional files are read. These are not among the parameters.
    """
    if isinstance(day_source, warehouse.SourceTable):
        made_of: dict[str, Any] = {"table": day_source.name, "table_rows": day_source.rows}
    else:
        made_of = {"hours": [file.identity for file in day_source.files]}
    return {**made_of, "query": query.digest, **query.parameters}


def extract_day(
    request: DayRequest, lake: Lake, settings: Settings, again: bool, run_id: str
) -> ExtractedDay:
    """Extracts the issues of a day. Keeps an existing batch if it was made from the data that the source has
    now, or if the source has lost data since.

    If `again` is true, the day is always extracted. `run_id` identifies the run of the command. The bytes
    billed by BigQuery are counted against the budget of this run.
    """
    connection = warehouse.connect(settings, "extract", run_id)
    source = connection.source_day(request.day) or HourChoice(settings.source, request.day)
    parameters = batch_parameters(extraction_query(settings), source)
    current = lake.current(ISSUES.name, {"day": str(request.day)})
    day = _SourceDay(request, source, parameters, current)
    result = None if again else _kept_batch(lake, day)
    if result is None:
        if run_id in _REFUSALS:
            raise _REFUSALS[run_id]
        result = _read_day(lake, settings, connection, day, again)
    if isinstance(source, HourChoice):
        result = result._replace(unreachable=tuple(source.unreachable_messages))
    return result


class _SourceDay(NamedTuple):
    """A requested day, what its source has, the parameters of its new batch, and its current batch."""

    request: DayRequest
    source: warehouse.SourceTable | HourChoice
    parameters: Mapping[str, Any]
    current: Manifest | None


def _kept_batch(lake: Lake, day: _SourceDay) -> ExtractedDay | None:
    """Returns the existing batch of a day if the day need not be read, and None otherwise."""
    request, source, parameters, current = day
    if current is not None:
        if isinstance(source, HourChoice) and 0 in source.unreachable:
            return ExtractedDay(current, False)  # the preferred base may have more than the others
        if with_base_names(current.parameters) == parameters != current.parameters:
            lake.add_key(current, parameters)
        if available := lost_data(current.parameters, parameters):
            return ExtractedDay(current, False, available)
    reused = reuse_extracted(lake, {"day": str(request.day)}, parameters, current)
    if reused is not None and not (request.recheck and may_be_better(reused.manifest, source, request)):
        if current is None or current.batch_id != reused.manifest.batch_id:
            make_marks_current(lake, reused.manifest)
        return ExtractedDay(*reused)
    if current is not None and isinstance(source, HourChoice):
        available = unused_before(lake, current, source, parameters, request)
        if available:
            return ExtractedDay(current, False, available)
    return None


def _read_day(
    lake: Lake, settings: Settings, connection: warehouse.Warehouse, day: _SourceDay, again: bool
) -> ExtractedDay:
    """Reads a day from its source, and writes a batch of its issues.

    The current batch is kept if a new batch may have less data, because files could not be downloaded or
    because the source has lost data. If `again` is true, the current batch is never kept.
    """
    request, source, parameters, current = day
    query, partition = extraction_query(settings), {"day": str(request.day)}
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        if isinstance(source, warehouse.SourceTable):
            attempt = current.batch_id if again and current else ""
            extraction = connection.extract(query, request.day, [], attempt=attempt)
            read = read_table(extraction, source.name)
        else:
            read = read_hours(connection, query, source, request.expected(current), Path(folder))
            parameters = _of_files_read(parameters, source)
            if current is not None and not again and _keeps_current(source, parameters, current):
                return ExtractedDay(current, False)
        matcher = ForgottenList.read(lake).matcher
        if matcher is not None:
            read = read.without_forgotten(matcher)
        draft = lake.draft(ISSUES.name, partition, (), parameters)
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
        lost = lost_events(current, parameters, figures)
        available = lost or (fewer_events(current, figures) if request.recheck else "")
        if available:
            draft.discard()
            if isinstance(source, HourChoice):
                store_unused(lake, current, source, parameters, figures, available, of_rechecks=not lost)
            return ExtractedDay(current, False, available)
    figures[DUPLICATE_MARKS.name] = write_marks(lake, draft, read.with_source(extraction.comments), matcher)
    if extraction.cost:
        figures["cost"] = dict(extraction.cost)
    if len(extraction.malformed):
        figures["quarantine"] = _write_quarantine(lake, partition, draft, extraction.malformed)
    return ExtractedDay(draft.commit(figures), True)


def _of_files_read(parameters: Mapping[str, Any], choice: HourChoice) -> dict[str, Any]:
    """Returns the parameters of a batch without the files that could not be downloaded. If a later run
    can download these files, its parameters differ from those of the batch. So it extracts the day again."""
    files = [file.identity for file in choice.files]
    return {**parameters, "hours": [file for file in parameters["hours"] if file in files]}


def _keeps_current(choice: HourChoice, parameters: Mapping[str, Any], current: Manifest) -> bool:
    """Returns whether `current` is kept because some files could not be downloaded.

    It is kept if the preferred base did not deliver a file. If only other bases did not, it is kept if it was
    made from all files that could be downloaded, with the query and the settings that are in `parameters`.
    """
    return 0 in choice.unreachable or (bool(choice.unreachable) and is_made_of(current, choice, parameters))


def extract_or_refuse(
    request: DayRequest, lake: Lake, settings: Settings, again: bool, run_id: str
) -> ExtractedDay | RefusedDay | UncheckedDay:
    """Extracts a day with `extract_day`. Two kinds of errors are returned instead of raised, so that the
    other days of the run can still be extracted.

    Returns a RefusedDay if the BigQuery budget is too small, and an UncheckedDay if the source cannot be read
    and `request` is a recheck.
    """
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

    The incomplete days that `recheck_requests` chooses are checked again. If such a day is extracted again,
    the result has its new batch and row. If it cannot be checked, it is one of the `unchecked_days` of the
    result. Otherwise, only the verdict on the day is computed again.

    If the budget for BigQuery is enough for only some of the days, the result has the batches and rows of
    these days, and a `refusal`: an error about the days that were not extracted. The caller must report the
    result and then raise this error. Raises BudgetError if the budget is not enough for any day. Raises
    SourceError if the source cannot be reached or does not have GH Archive's format.
    """
    _REFUSALS.pop(warehouse.RUN_ID, None)
    requests = [DayRequest(day) for day in days]
    if len(settings.source.bases) > 1:
        requests = with_usual_counts(requests, VerdictHistory(CurrentHealth(lake)))
    results = _extract_days(requests, lake, settings, again)
    extracted = {result.manifest.day: result for result in results if isinstance(result, ExtractedDay)}
    refused = [result for result in results if isinstance(result, RefusedDay)]
    refusal = refusal_of(refused, len(days), again) if refused else None
    if refusal and not extracted:
        raise refusal
    unchanged = {day: result.still_available for day, result in extracted.items() if result.still_available}
    history = VerdictHistory(CurrentHealth(lake))
    health = {day: judge_day(lake, extracted[day].manifest, history) for day in sorted(extracted)}
    failed = {day for day, result in extracted.items() if result.is_new and result.unreachable}
    rechecks = recheck_requests(settings, days, history, failed)
    unchecked, rechecked = {}, []
    for result in _extract_days(rechecks, lake, settings, again=False):
        if isinstance(result, UncheckedDay):
            unchecked[str(result.day)] = result.error.message
        elif isinstance(result, ExtractedDay):
            day = result.manifest.day
            # A batch that is not new may lack its verdict: the process that made it may have been killed.
            row = judge_day(lake, result.manifest, history)
            if result.is_new:
                extracted[day] = result
                rechecked.append(day)
            elif result.unreachable and day not in extracted:
                unchecked[day] = result.unreachable[0]
            if day in extracted:
                health[day] = row
            if result.still_available:
                unchanged[day] = result.still_available
    outcome = Outcome(
        tuple(result.manifest for result in extracted.values()),
        sum(result.is_new for result in extracted.values()),
        unchanged,
        refusal=refusal,
        unchecked_days=unchecked,
        rechecked_days=tuple(rechecked),
        unreachable_bases={day: result.unreachable for day, result in extracted.items()},
    )
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
        partitions=[{"day": request.day.isoformat()} for request in requests],
    )
