"""extract: hour files of a day -> issues_v1, source_health_v1 and the quarantine."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import warehouse
from pipeline.compute.cluster import map_shards
from pipeline.contracts import ISSUES, SOURCE_HEALTH
from pipeline.lake.batches import Lake, Manifest
from pipeline.settings import Settings, Text
from pipeline.source import day_verdict, hour_files
from pipeline.stages import Outcome

QUARANTINE = "quarantine"
ROWS_A_PART = 100_000
HEAVY_DAYS = 28  # more of them are worth starting a cluster
REASONS = ("no_body", "short_body", "short_title", "long_title", "long_body")


def thresholds(text: Text) -> dict[str, int]:
    """The query's named parameters that decide `trainable`."""
    return {
        "min_body_words": text.min_body_words,
        "min_title_words": text.min_title_words,
        "max_title_characters": text.max_title_characters,
        "max_body_characters": text.max_body_characters,
    }


def untrainable(issues: pa.Table, limits: Mapping[str, int]) -> dict[str, int]:
    """How many issues each threshold keeps from training; an issue counts under the first that it fails."""
    counts = dict.fromkeys(REASONS, 0)
    for title, body in zip(
        issues.column("title").to_pylist(), issues.column("body").to_pylist(), strict=True
    ):
        if found := reason(title, body or "", limits):
            counts[found] += 1
    return counts


def reason(title: str, body: str, limits: Mapping[str, int]) -> str:
    """The first of REASONS that keeps an issue from training; empty where none does."""
    if not body.strip():
        return "no_body"
    if len(body.split()) < limits["min_body_words"]:
        return "short_body"
    if len(title.split()) < limits["min_title_words"]:
        return "short_title"
    if len(title) > limits["max_title_characters"]:
        return "long_title"
    return "long_body" if len(body) > limits["max_body_characters"] else ""


def question(settings: Settings) -> warehouse.Query:
    """sql/extract_issues.sql with the thresholds of the settings."""
    return warehouse.Query.from_file("extract_issues", **thresholds(settings.text))


def parameters_of(
    query: warehouse.Query, found: warehouse.SourceTable | hour_files.SourceDay
) -> dict[str, Any]:
    """What a day's batch is made by: the query, and what the source has of the day (hour files, or the rows of its table)."""
    if isinstance(found, warehouse.SourceTable):
        made_of: dict[str, Any] = {"table": found.name, "table_rows": found.rows}
    else:
        made_of = {"hours": [[hour.hour, hour.size, hour.stamp] for hour in found.found]}
    return {**made_of, "query": hashlib.sha256(query.sql.encode()).hexdigest()[:16], **query.parameters}


def lost(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What the source still has of a day that was taken with more: hours, or rows of its table. Empty where it has lost nothing.

    Both are `parameters_of`; those of another query, or of another kind of source, cannot be compared and count as nothing lost.
    """
    counted = ("hours", "table_rows")
    same, other = (
        {name: value for name, value in made_of.items() if name not in counted} for made_of in (now, then)
    )
    if same != other or {*then} != {*now}:
        return ""
    if "hours" in now:
        here, there = ({hour for hour, *_ in made_of["hours"]} for made_of in (now, then))
        return f"{len(here)} of the {len(there)} hours" if here < there else ""
    rows, more = (made_of["table_rows"] or 0 for made_of in (now, then))
    return f"{rows:,} of the {more:,} events" if rows < more else ""


def extract_day(
    day: date, lake: Lake, settings: Settings, again: bool, run: str
) -> tuple[Manifest, bool, str]:
    """The day's issues batch, whether it was made just now, and what is left of a day that stays as it was, for the source has less of it.

    `run` names the command, for what it spends.
    """
    house = warehouse.connect(settings, "extract", run)
    found = house.source_day(day) or hour_files.look(settings.source.hours, day)
    query = question(settings)
    partition = {"day": day.isoformat()}
    parameters = parameters_of(query, found)
    taken = lake.current(ISSUES.name, partition)
    if not again:
        if taken is not None and (left := lost(taken.parameters, parameters)):
            return taken, False, left
        there = lake.reuse(ISSUES.name, partition, (), parameters)
        if there is not None:
            return there, False, ""

    draft = lake.draft(ISSUES.name, partition, (), parameters)
    trainable, untrained = 0, Counter(dict.fromkeys(REASONS, 0))
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        files = hour_files.fetch(found, Path(folder)) if isinstance(found, hour_files.SourceDay) else []
        extraction = house.extract(query, day, files, attempt=taken.batch_id if again and taken else "")
        for number, part in enumerate(parts_of(extraction.issues)):
            draft.write_table(f"part-{number:05d}.parquet", part, ISSUES)
            trainable += pc.sum(part.column("trainable")).as_py() or 0
            untrained.update(untrainable(part, thresholds(settings.text)))
    hours = (
        [hour.hour for hour in found.found]
        if isinstance(found, hour_files.SourceDay)
        else list(extraction.hours)
    )
    figures: dict[str, Any] = {
        "hours_found": len(hours),
        "hours_missing": [hour for hour in hour_files.HOURS if hour not in hours],
        "events": extraction.events,
        "malformed": len(extraction.malformed) + extraction.left_out,
        "trainable": trainable,
        "untrainable": dict(untrained),
    }
    if extraction.cost:
        figures["cost"] = dict(extraction.cost)
    if len(extraction.malformed):
        quarantine = lake.draft(QUARANTINE, partition, (), {"issues_batch": draft.batch_id})
        lines = "".join(
            json.dumps(row, ensure_ascii=False) + "\n" for row in extraction.malformed.to_pylist()
        )
        quarantine.write_file("malformed.jsonl", lines.encode(errors="replace"), len(extraction.malformed))
        figures["quarantine"] = quarantine.commit().folder
    return draft.commit(figures), True, ""


def parts_of(issues: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows, ROWS_A_PART at a time; memory holds no more of them."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in issues:
        while rows + len(batch) >= ROWS_A_PART:
            taken = batch.slice(0, ROWS_A_PART - rows)
            yield pa.Table.from_batches([*waiting, taken])
            waiting, rows, batch = [], 0, batch.slice(len(taken))
        if len(batch):
            waiting.append(batch)
            rows += len(batch)
    if waiting:
        yield pa.Table.from_batches(waiting)


class History(Mapping[date, day_verdict.Judged]):
    """The verdicts in the lake, each read when it is asked for, and those given just now."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._there = set(lake.days(SOURCE_HEALTH.name))
        self._known: dict[date, day_verdict.Judged] = {}

    def __getitem__(self, day: date) -> day_verdict.Judged:
        if day not in self._known:
            batch = (
                self._lake.current(SOURCE_HEALTH.name, {"day": str(day)}) if str(day) in self._there else None
            )
            if batch is None or "verdict" not in batch.figures:
                raise KeyError(day)
            self.add(day, batch.figures)
        return self._known[day]

    def add(self, day: date, figures: Mapping[str, Any]) -> None:
        self._known[day] = day_verdict.Judged(figures["verdict"], figures["events"], figures["issues"])
        self._there.add(str(day))

    def __iter__(self) -> Iterator[date]:
        return map(date.fromisoformat, sorted(self._there))

    def __len__(self) -> int:
        return len(self._there)


def held_against(history: History, day: date, counted: day_verdict.Counted) -> dict[str, Any]:
    """The columns of source_health_v1 that depend on the days before."""
    judged = day_verdict.judge(day, counted, history)
    return {
        "usual_events": judged.usual.events if judged.usual else None,
        "verdict": judged.verdict,
        "usual_issues": judged.usual.issues if judged.usual else None,
        "compared_with": judged.usual.compared_with if judged.usual else None,
        "reason": judged.reason,
    }


def judge(lake: Lake, manifest: Manifest, history: History) -> dict[str, Any]:
    """Writes the day's source_health_v1, held against `history`, and adds it there; returns its row."""
    day, figures = date.fromisoformat(manifest.day), manifest.figures
    counted = day_verdict.Counted(
        figures["hours_found"], figures["events"], figures["malformed"], manifest.rows
    )
    found = held_against(history, day, counted)
    row: dict[str, Any] = {
        "day": day,
        "hours_found": figures["hours_found"],
        "hours_missing": figures["hours_missing"],
        "events": figures["events"],
        "malformed": figures["malformed"],
        "issues": manifest.rows,
        "trainable": figures["trainable"],
        **found,
    }
    history.add(day, row)
    partition = {"day": manifest.day}
    parameters = {**found, "issues_batch": manifest.batch_id}
    if lake.reuse(SOURCE_HEALTH.name, partition, (manifest.digest,), parameters) is None:
        draft = lake.draft(SOURCE_HEALTH.name, partition, (manifest.digest,), parameters)
        draft.write_table(
            "part-00000.parquet", pa.Table.from_pylist([row], schema=SOURCE_HEALTH.schema), SOURCE_HEALTH
        )
        draft.commit({**row, "day": manifest.day})
    return row


def judge_again(lake: Lake) -> tuple[str, ...]:
    """Holds every verdict against the days that are there now, oldest first; returns the days where that changed something.

    A day is judged when it is extracted, and a backfill with its retries comes to the days in any order: after this it does not matter.
    """
    history, changed = History(lake), []
    for name in lake.days(SOURCE_HEALTH.name):
        before = lake.current(SOURCE_HEALTH.name, {"day": name})
        if before is None or "verdict" not in before.figures:
            continue
        day, row = date.fromisoformat(name), before.figures
        found = held_against(
            history,
            day,
            day_verdict.Counted(row["hours_found"], row["events"], row["malformed"], row["issues"]),
        )
        same = found == {column: row.get(column) for column in found}
        issues = None if same else lake.current(ISSUES.name, {"day": name})
        if (
            issues is not None and issues.digest in before.inputs
        ):  # otherwise it is being extracted, and judged, at this moment
            judge(lake, issues, history)
            changed.append(name)
        else:
            history.add(day, row)
    return tuple(changed)


def run(
    lake: Lake, settings: Settings, days: Sequence[date], *, again: bool = False
) -> tuple[Outcome, list[dict[str, Any]]]:
    """Extracts the days that are not there yet (all of them with `again`); returns their batches and their health.

    A day of which the source has less now than when it was taken stays as it is, but with `again`.
    Raises SourceError where the source cannot be reached or is not GH Archive's, BudgetError where it would cost too much.
    """
    results = map_shards(
        extract_day,
        list(days),
        lake,
        settings,
        again,
        warehouse.RUN,
        label="extract",
        compute=settings.compute,
        heavy=len(days) > HEAVY_DAYS,
    )
    history = History(lake)
    rows = [
        judge(lake, manifest, history) for manifest, *_ in sorted(results, key=lambda result: result[0].day)
    ]
    kept = {manifest.day: left for manifest, _, left in results if left}
    return Outcome(
        tuple(manifest for manifest, *_ in results), sum(made for _, made, _ in results), kept
    ), rows
