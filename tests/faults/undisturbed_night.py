"""A night without faults: what each of its commands leaves, and what readers see before and after it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipeline.lake.batches import Lake
from pipeline.settings import load
from tests.faults import system_calls
from tests.faults.night import PREPARED, RELEASE_IN_VIEWS, content, make_old
from tests.faults.places import BIGQUERY, DATASET, FOLDER, Place, checked, command, move_into_bucket
from tests.faults.readers import Reader, import_for_readers, run_titler
from tests.support.tables import Content, without_volatile

COMPARED_VIEWS = ("releases", "title_predictions", "similar_issues")
"""The views of BigQuery whose rows are compared. The emulator takes seconds per view."""


@dataclass(frozen=True)
class Reference:
    """A night without faults. For each command: the number of system calls of each group, and of requests to
    the server of the place; a digest of what the lake holds afterwards; and what a reader sees before and
    after."""

    place: Place
    calls: Mapping[str, Mapping[str, int]]
    requests: Mapping[str, int]
    held: Mapping[str, Mapping[str, str]]
    seen: Mapping[str, Sequence[str]]


def make_reference(place: Place, prepared: Path) -> Reference:
    """Runs the night without faults in a place. If it has run there before, reads what was stored then.

    `prepared` is the folder with the copies of a lake in a folder, which other places start from.
    """
    place.use()
    import_for_readers()
    stored = place.folder / "reference.json"
    if not stored.exists():
        shutil.rmtree(place.before, ignore_errors=True)
        _prepare(place, prepared)
        calls, requests, held, seen = {}, {}, {}, {}
        for verb in place.verbs:
            if verb == "collect":
                checked(lambda: make_old(Lake(load().lake.root), place.lake))
            place.keep(verb)
            place.restart()
            before, count = checked(see(place)).output, place.requests()
            calls[verb] = json.loads(checked(_counting(place.lake, command(verb))).errors.splitlines()[-1])
            requests[verb] = place.requests() - count
            held[verb] = json.loads(checked(digest(place)).output)
            seen[verb] = [before, checked(see(place)).output]
        stored.write_text(json.dumps({"calls": calls, "requests": requests, "held": held, "seen": seen}))
    return Reference(place, **json.loads(stored.read_text()))


def _prepare(place: Place, prepared: Path) -> None:
    from pipeline import sample

    for name in place.changed:
        shutil.rmtree(place.folder / name, ignore_errors=True)
    if place.name == FOLDER:
        sample.write(Path(place.environment["TITLER_SOURCE__HOURS"]), days=3, seed=3, issues_per_day=80)
        for arguments in PREPARED:
            checked(run_titler("|".join(arguments)))
    elif place.name == BIGQUERY:
        shutil.copytree(prepared / "publish" / "lake", place.lake)
    else:
        move_into_bucket(prepared / "extract" / "lake", place)


def _counting(lake: Path, run: Reader) -> Reader:
    """Runs a command, and prints as JSON how many system calls of each group it has made."""

    def read() -> None:
        system_calls.watch(lake)
        try:
            run()
        finally:
            print(f"\n{json.dumps(system_calls.counts())}", file=sys.stderr)

    return read


def see(place: Place) -> Reader:
    """Prints which release the status and the warehouse show, and how many rows it has."""

    def read() -> None:
        from pipeline.serving import status

        settings = load()
        shown = status.status(Lake(settings.lake.root), settings)["release"]
        print(json.dumps([shown and shown["id"], shown and shown["issues"], _release_in_views(place)]))

    return read


def _release_in_views(place: Place) -> list[list[object]]:
    if place.name == BIGQUERY:
        current = f"SELECT release_id FROM {DATASET}.releases WHERE status = 'current'"
        return [[row["release_id"]] for row in _rows(current)]
    with contextlib.closing(duckdb.connect(str(place.warehouse), read_only=True)) as connection:
        return [list(row) for row in connection.sql(RELEASE_IN_VIEWS).fetchall()]


def _rows(sql: str) -> list[dict[str, object]]:
    from pipeline.warehouse.bigquery.client import connect

    return [dict(row) for row in connect(load().warehouse).query(sql).result()]


def digest(place: Place) -> Reader:
    """Prints a digest of each thing that the lake holds, as JSON."""

    def read() -> None:
        for folder in sorted(place.lake.rglob("*/"), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()  # a bucket has no folders, but its server may leave empty ones
        held = content(
            Lake(str(place.lake)), place.database, None if place.name == BIGQUERY else place.warehouse
        )
        if place.name == BIGQUERY:
            held |= _views_of_bigquery()
        digests = {name: hashlib.sha256(repr(held[name]).encode()).hexdigest() for name in sorted(held)}
        print(json.dumps(digests))

    return read


def _views_of_bigquery() -> Content:
    rows = {view: without_volatile(_rows(f"SELECT * FROM {DATASET}.{view}")) for view in COMPARED_VIEWS}
    return {f"view {view}": sorted(values, key=repr) for view, values in rows.items()}
