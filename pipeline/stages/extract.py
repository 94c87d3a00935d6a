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
from pipeline.errors import BudgetError, OversizedDayError
from pipeline.lake.batches import Lake
from pipeline.lake.day_catalogue import CurrentHealth
from pipeline.lake.draft import Draft
from pipeline.lake.manifest import Manifest
from pipeline.settings import Settings
from pipeline.source import hour_files
from pipeline.source.trainable import REASONS, WORD, count_untrainable, thresholds
from pipeline.source.verdict_history import VerdictHistory, judge_day
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


class RefusedDay(NamedTuple):
    """A day that was not extracted because the budget does not suffice, and the error that says so."""

    day: date
    error: BudgetError


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
    query: warehouse.Query, day_source: warehouse.SourceTable | hour_files.SourceDay
) -> dict[str, Any]:
    """Returns the parameters that identify a day's batch of issues: the query, and what the source has of the
    day.

    The source is described by its hour files with their sizes, or by the name and the number of rows of its
    table. If these parameters change, the day is extracted again.
    """
    if isinstance(day_source, warehouse.SourceTable):
        made_of: dict[str, Any] = {"table": day_source.name, "table_rows": day_source.rows}
    else:
        made_of = {"hours": [[file.hour, file.size, file.stamp] for file in day_source.files]}
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
            {hour for hour, *_ in parameters["hours"]} for parameters in (stored, available)
        )
        return f"{len(hours_now)} of the {len(hours_before)} hours" if hours_now < hours_before else ""
    rows_before, rows_now = (parameters["table_rows"] or 0 for parameters in (stored, available))
    return f"{rows_now:,} of the {rows_before:,} events" if rows_now < rows_before else ""


def extract_day(day: date, lake: Lake, settings: Settings, again: bool, run_id: str) -> ExtractedDay:
    """Extracts the issues of a day. Keeps an existing batch if it was made from the data that the source has
    now, or if the source has lost data since.

    If `again` is true, the day is always extracted. `run_id` identifies the run of the command: the bytes
    that BigQuery bills count against the budget of this run.
    """
    connection = warehouse.connect(settings, "extract", run_id)
    day_source = connection.source_day(day) or hour_files.find_hours(settings.source.hours, day)
    query = extraction_query(settings)
    partition = {"day": day.isoformat()}
    parameters = batch_parameters(query, day_source)
    current = lake.current(ISSUES.name, partition)
    if not again:
        if current is not None and (available := lost_data(current.parameters, parameters)):
            return ExtractedDay(current, False, available)
        reused = reuse_extracted(lake, partition, parameters)
        if reused is not None:
            if current is None or current.batch_id != reused.manifest.batch_id:
                make_marks_current(lake, reused.manifest)
            return ExtractedDay(*reused)

    if run_id in _REFUSALS:
        raise _REFUSALS[run_id]
    draft = lake.draft(ISSUES.name, partition, (), parameters)
    attempt = current.batch_id if again and current else ""
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        files: list[Path] = []
        if isinstance(day_source, hour_files.SourceDay):
            files = hour_files.fetch(day_source, Path(folder))
        extraction = connection.extract(query, day, files, attempt=attempt)
        trainable, untrainable = _write_issues(draft, extraction, settings)
    figures: dict[str, Any] = {
        **_hour_figures(day_source, files, extraction),
        "events": extraction.events,
        "malformed": len(extraction.malformed) + extraction.omitted_malformed,
        "malformed_issues": extraction.malformed_issues,
        "trainable": trainable,
        "untrainable": untrainable,
    }
    if current is not None and not again:
        before, now = (
            _with_found_hours(current.parameters, current.figures),
            _with_found_hours(parameters, figures),
        )
        if available := lost_data(before, now):
            draft.discard()
            return ExtractedDay(current, False, available)
    figures[DUPLICATE_MARKS.name] = write_marks(lake, draft, extraction.comments)
    if extraction.cost:
        figures["cost"] = dict(extraction.cost)
    if len(extraction.malformed):
        figures["quarantine"] = _write_quarantine(lake, partition, draft, extraction.malformed)
    return ExtractedDay(draft.commit(figures), True)


def extract_or_refuse(
    day: date, lake: Lake, settings: Settings, again: bool, run_id: str
) -> ExtractedDay | RefusedDay:
    """Extracts the issues of a day as `extract_day` does, unless the budget does not suffice."""
    try:
        return extract_day(day, lake, settings, again, run_id)
    except OversizedDayError as error:  # other days may be smaller
        return RefusedDay(day, error)
    except BudgetError as error:
        _REFUSALS[run_id] = error
        return RefusedDay(day, error)


def _hour_figures(
    day_source: warehouse.SourceTable | hour_files.SourceDay,
    files: Sequence[Path],
    extraction: warehouse.Extraction,
) -> dict[str, Any]:
    """Returns the figures of a day's hours. An hour is found if an event was read from it.

    `files` are the downloaded hour files of `day_source`, in the same order. They are empty if `day_source`
    is a table.
    """
    events = dict(extraction.events_per_hour)
    if isinstance(day_source, hour_files.SourceDay):
        events = {
            file.hour: extraction.events_per_file.get(path.name, 0)
            for file, path in zip(day_source.files, files, strict=True)
        }
    events_per_hour = [events.get(hour, 0) for hour in hour_files.HOURS]
    return {
        "hours_found": sum(1 for number in events_per_hour if number),
        "hours_missing": [hour for hour, number in enumerate(events_per_hour) if not number],
        "hours_unreadable": sorted(hour for hour, number in events.items() if not number),
        "events_per_hour": events_per_hour,
    }


def _with_found_hours(parameters: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a batch with only those hours from which an event was read."""
    found = [[hour] for hour in hour_files.HOURS if hour not in figures["hours_missing"]]
    return {**parameters, **({"hours": found} if "hours" in parameters else {})}


def _write_issues(
    draft: Draft, extraction: warehouse.Extraction, settings: Settings
) -> tuple[int, dict[str, int]]:
    """Writes issues into the unfinished batch `draft`. Returns the number of trainable issues, and the number
    of untrainable issues for each reason."""
    limits = thresholds(settings.text)
    trainable, untrainable = 0, Counter(dict.fromkeys(REASONS, 0))
    for number, part in enumerate(split_into_parts(extraction.issues)):
        draft.write_table(f"part-{number:05d}.parquet", part, ISSUES)
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

    If the budget for BigQuery suffices only for some of the days, these are returned. Then the result has a
    `refusal`: the caller reports the result, and raises this error, which names the other days. Raises
    BudgetError if the budget suffices for no day. Raises SourceError if the source cannot be reached or does
    not have GH Archive's format.
    """
    _REFUSALS.pop(warehouse.RUN_ID, None)
    results = map_shards(
        extract_or_refuse,
        list(days),
        lake,
        settings,
        again,
        warehouse.RUN_ID,
        label="extract",
        compute=settings.compute,
        worth_a_cluster=len(days) >= DAYS_WORTH_A_CLUSTER,
    )
    extracted = [result for result in results if isinstance(result, ExtractedDay)]
    refused = [result for result in results if isinstance(result, RefusedDay)]
    refusal = _refusal(refused, len(days), again) if refused else None
    if refusal and not extracted:
        raise refusal
    history = VerdictHistory(CurrentHealth(lake))
    in_order = sorted(
        (extracted_day.manifest for extracted_day in extracted), key=lambda manifest: manifest.day
    )
    health = [judge_day(lake, manifest, history) for manifest in in_order]
    unchanged = {
        extracted_day.manifest.day: extracted_day.still_available
        for extracted_day in extracted
        if extracted_day.still_available
    }
    manifests = tuple(extracted_day.manifest for extracted_day in extracted)
    made = sum(extracted_day.is_new for extracted_day in extracted)
    return Outcome(manifests, made, unchanged, refusal=refusal), health


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
        messages.append(f"The same holds for {len(unlisted)} more days, the last of them {unlisted[-1].day}.")
    return type(error)("\n".join(messages), "\n".join(hints), event=error.event)
