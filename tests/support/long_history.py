"""A lake in a bucket whose published release has a long history, of which only the lists exist.

Each day has one issue. The history has the pages of a release, its segments, and the copies of Parquet files
beside the warehouse. Only the days of the last month have batches. A command that read a file of an older day
would fail. So the lake of ten years is made in seconds, and a night that succeeds has looked at nothing old.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    ISSUES,
    SEGMENTS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
    VECTORS,
    Table,
)
from pipeline.index.neighbours import SearchParameters, plan_neighbours
from pipeline.index.release_days import IndexedDay
from pipeline.index.segment import segment_figures, write_segment
from pipeline.index.segment_plan import plan_segments
from pipeline.lake.batches import Lake
from pipeline.lake.day_catalogue import CATALOGUE, CATALOGUED_TABLES, Catalogue
from pipeline.lake.issue_ids import write_ids
from pipeline.lake.local_cache import LocalCache
from pipeline.lake.manifest import File, Manifest
from pipeline.lake.pages import PAGES, group_by_period, read_page_files, write_pages
from pipeline.lake.pinned import BatchKey, Pinned
from pipeline.lake.plan import PinnedDay, day_pages
from pipeline.releases.index_figures import INDEX_FIGURES
from pipeline.releases.members import published_tables, release_content
from pipeline.releases.publication import make_current
from pipeline.serving.report.day_figures import DAY_FIGURES, DAYS, DayFigures, to_json
from pipeline.serving.report.stored_report import REPORT_FILE
from pipeline.settings import Settings
from pipeline.text.issue_terms import issue_terms
from pipeline.warehouse.duckdb.release_file import StagedFile, copies_folder
from tests.predictor.small_predictors import word_predictor
from tests.stages.literal_issues import issue
from tests.stages.literal_models import add_predictor

PART = "part-00000.parquet"
MODEL = "m"
VOCABULARY = word_predictor().vocabularies.id
Request = str
"""GET, PUT, DELETE or LIST."""


@dataclass(frozen=True)
class History:
    """A lake with the published release `first`, which has a long history."""

    lake: Lake
    settings: Settings
    release: Pinned

    def fill_cache(self) -> None:
        """Copies the immutable files that earlier nights have used into the local cache."""
        for segment in self.release.members[SEGMENTS.name]:
            self.lake.local_copy(segment)
        read_page_files(self.lake, self.lake.names(PAGES))


def long_history(folder: Path, settings: Settings, last_day: date, days: int) -> History:
    """Makes a lake with `days` days, up to `last_day`. `settings` are those of its nights."""
    lake = Lake(f"memory://{uuid.uuid4().hex}", LocalCache(str(folder / "cache")))
    settings = settings.model_copy(
        update={"lake": settings.lake.model_copy(update={"root": lake.root, "cache": lake.cache.folder})}
    )
    predictor = _add_model(lake)
    names = [str(last_day - timedelta(days=age)) for age in range(days - 1, -1, -1)]
    release, batches = _open_release(lake, settings, predictor, names)
    segments = _write_segments(lake, settings, batches)
    release.members.put(SEGMENTS.name, segments)
    _write_copies(Path(settings.warehouse_path), batches)
    release.notes[INDEX_FIGURES] = {
        "items": days,
        "recall_at_10": 1.0,
        "recall_queries": days,
        "parameters": {},
    }
    record = {
        "release_id": release.name,
        "published_by": "a test",
        "model": MODEL,
        "model_version": "3",
        "vocabulary": VOCABULARY,
        "mlflow_run": "run of m",
        "days": days,
        "issues": days,
        "index_items": days,
        "recall_at_10": 1.0,
        "accepted": "[]",
    }
    release.notes[DAY_FIGURES] = to_json(_day_figures(batches))  # with the report of the night before
    lake.put(release.file(REPORT_FILE), b"")
    content = release_content(release, published_tables(settings), complete=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StagedFile, "check", lambda staged: [])  # of a release that no test looks at
        make_current(settings, release, content, record, [])
    lake.put_json("collected.json", {"all_batches_recorded": True})
    for done in ("days/changed", "drafts"):  # an earlier night has dealt with them
        lake.delete_folder(done)
    return History(lake, settings, release)


def _add_model(lake: Lake) -> Manifest:
    figures = {"variant": "gru", "vocabulary": VOCABULARY, "hidden_size": 5, "mlflow_run": "run of m"}
    return add_predictor(lake, MODEL, word_predictor(), figures=figures).members["predictor"][0]


def _batch(
    table: Table,
    partition: dict[str, str],
    inputs: tuple[str, ...] = (),
    parameters: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
    rows: int = 1,
) -> Manifest:
    """A manifest of a batch that has no files in the lake."""
    key = BatchKey(table.name, partition, inputs, dict(parameters or {}))
    digest = hashlib.sha256(repr(key).encode()).hexdigest()
    file = File(PART, rows, 1, digest)
    created_at = "2015-01-01T00:00:00+00:00"
    return Manifest(
        table.name, partition, digest[:12], key.fingerprint, digest, rows, (file,), inputs,
        dict(key.parameters), dict(figures or {}), created_at,
    )  # fmt: skip


def _open_release(
    lake: Lake, settings: Settings, predictor: Manifest, names: list[str]
) -> tuple[Pinned, dict[str, list[Manifest]]]:
    """Opens the release, and returns it with its batches by table."""
    batches: dict[str, list[Manifest]] = {
        table.name: []
        for table in (
            *(ISSUES, SOURCE_HEALTH, DUPLICATE_MARKS, VECTORS, EMBEDDINGS, TITLE_PREDICTIONS),
            *(SIMILAR_ISSUES, DUPLICATE_PAIRS),
        )
    }
    days: list[PinnedDay] = []
    for name in names:
        health_row = {
            "day": name, "hours_found": 24, "hours_missing": [], "events": 60, "malformed": 0, "issues": 60,
            "trainable": 1, "usual_events": None, "verdict": "complete", "usual_issues": None,
            "compared_with": None, "reason": None,
        }  # fmt: skip
        is_stored = name[:7] == names[-1][:7]
        issues = _store_issue(lake, name) if is_stored else _batch(ISSUES, {"day": name})
        health = _batch(SOURCE_HEALTH, {"day": name}, (issues.digest,), figures=health_row)
        marks = _batch(DUPLICATE_MARKS, {"day": name}, rows=0)
        tokens = hashlib.sha256(f"tokens of {name}".encode()).hexdigest()
        vectors = _batch(VECTORS, {"vocabulary": VOCABULARY, "day": name}, (tokens,))
        of_model = {"model": MODEL, "day": name}
        made_by = {"predictor": predictor.digest}
        if is_stored:
            embeddings = _store_embedding(lake, name, vectors, made_by)
        else:
            embeddings = _batch(EMBEDDINGS, of_model, (vectors.digest,), made_by)
        titles = _batch(
            TITLE_PREDICTIONS,
            of_model,
            (vectors.digest, issues.digest),
            {"predictor": predictor.digest, "issues_batch": issues.batch_id},
            {"abstained": 0},
        )
        for manifest in (issues, health, marks, vectors, embeddings, titles):
            batches[manifest.table].append(manifest)
        digests = (issues.digest, tokens, health.digest)
        tokens_folder = f"tokens_v1/day={name}/{tokens[:12]}"
        folders = (issues.folder, tokens_folder, health.folder)
        days.append(PinnedDay(name, *folders, *digests, marks.folder, marks.digest))
    facts: dict[str, Any] = {
        "model": MODEL,
        "model_version": "3",
        "mlflow_run": "run of m",
        "vocabulary": VOCABULARY,
        "predictor": predictor.folder,
        "predictor_digest": predictor.digest,
        "neighbours": settings.index.neighbours,
        "near_duplicate_distance": 0.35,
    }
    parameters = SearchParameters(
        facts["neighbours"], facts["near_duplicate_distance"], settings.similar.months
    )
    indexed = _indexed_days(batches)
    for day in plan_neighbours(indexed, parameters, settings.similar.recompute_days):
        of_tables = {SIMILAR_ISSUES: day.parameters, DUPLICATE_PAIRS: day.pair_parameters}
        for made, of_table in of_tables.items():
            batch = _batch(made, day.partition(MODEL), day.inputs, of_table, day.figures, rows=0)
            batches[made.name].append(batch)
    pages = write_pages(lake, day_pages(days, {}))
    ids = {
        period: write_ids(
            lake,
            pa.table(
                {
                    "issue_id": [_issue_id(name) for name in names[positions]],
                    "day": [date.fromisoformat(name) for name in names[positions]],
                }
            ),
        )
        for period, positions in group_by_period(names)
    }
    release = Pinned(lake, "releases", "first")
    release.open_pages(pages, facts)
    for table, manifests in batches.items():
        release.members.put(table, manifests)
    manifests_of = {table: release.members.pages(table) for table in CATALOGUED_TABLES}
    lake.put_json(CATALOGUE, asdict(Catalogue(pages, manifests_of, ids)))
    return release, batches


def _store_issue(lake: Lake, day: str) -> Manifest:
    row = issue(_issue_id(day), "t", None, "a/b") | {"created_at": _opened_at(day), "event_id": day}
    draft = lake.draft(ISSUES.name, {"day": day})
    draft.write_table(PART, pa.Table.from_pylist([row], schema=ISSUES.schema), ISSUES)
    return draft.commit()


def _store_embedding(lake: Lake, day: str, vectors: Manifest, made_by: Mapping[str, str]) -> Manifest:
    draft = lake.draft(EMBEDDINGS.name, {"model": MODEL, "day": day}, (vectors.digest,), made_by)
    rows = pa.table({"issue_id": [_issue_id(day)], "embedding": [[1.0, 0, 0, 0, 0]]})
    draft.write_table(PART, rows.cast(EMBEDDINGS.schema), EMBEDDINGS)
    return draft.commit()


def _indexed_days(batches: Mapping[str, list[Manifest]]) -> list[IndexedDay]:
    pairs = zip(batches[ISSUES.name], batches[EMBEDDINGS.name], strict=True)
    return [IndexedDay(issues.day, issues, embeddings, ()) for issues, embeddings in pairs]


def _issue_id(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def _opened_at(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00+00:00").astimezone(UTC)


def _write_segments(lake: Lake, settings: Settings, batches: Mapping[str, list[Manifest]]) -> list[Manifest]:
    """Writes the segments of the history, each with one issue per day."""
    manifests = []
    for plan in plan_segments(_indexed_days(batches), settings.index):
        names = [day.day for day in plan.days]
        items = pa.Table.from_pylist(
            [
                {
                    "issue_id": _issue_id(name),
                    "issue_url": f"https://github.com/a/b/issues/{_issue_id(name)}",
                    "repo": "a/b",
                    "title": "t",
                    "created_at": _opened_at(name),
                    "day": date.fromisoformat(name),
                }
                for name in names
            ],
            schema=SEGMENTS.schema,
        )
        terms = issue_terms(["t"] * len(items), [None] * len(items))
        figures = segment_figures(items, 5, terms, plan.annoy)
        draft = lake.draft(SEGMENTS.name, plan.partition(MODEL), plan.inputs, plan.parameters)
        with tempfile.TemporaryDirectory() as folder:
            vectors = np.tile(np.asarray([1, 0, 0, 0, 0], np.float16), (len(items), 1))
            write_segment(Path(folder), items, vectors, terms, plan.annoy)
            draft.write_folder(Path(folder))
        manifests.append(draft.commit({**figures, "recall_at_10": 1.0, "recall_queries": len(items)}))
    return manifests


def _day_figures(batches: Mapping[str, list[Manifest]]) -> list[DayFigures]:
    """The figures of the last days, as the report of the night before has stored them."""
    pairs = zip(batches[ISSUES.name][-DAYS:], batches[TITLE_PREDICTIONS.name][-DAYS:], strict=True)
    return [
        DayFigures(issues.day, issues.batch_id, titles.batch_id, 1, 1, 1.0, None, 1.0, 0.0, 0.0, 0.5, 0.0)
        for issues, titles in pairs
    ]


def _write_copies(warehouse: Path, batches: Mapping[str, list[Manifest]]) -> None:
    """Writes the copies of the history's Parquet files that a publication has made beside the warehouse.

    The files of a table without rows are hard links to one file: it takes long to write thousands of files.
    """
    for table in (SOURCE_HEALTH, DUPLICATE_MARKS, TITLE_PREDICTIONS, SIMILAR_ISSUES, DUPLICATE_PAIRS):
        has_rows = table in (SOURCE_HEALTH, TITLE_PREDICTIONS)
        manifests = batches[table.name]
        rows = _rows_of_days(table, manifests) if has_rows else table.empty()
        first: Path | None = None
        for number, manifest in enumerate(manifests):
            folder = copies_folder(warehouse) / table.name / f"day={manifest.day}" / manifest.batch_id
            folder.mkdir(parents=True)
            if has_rows or first is None:
                first = folder / PART
                pq.write_table(rows.slice(number, 1), first)
            else:
                (folder / PART).hardlink_to(first)


def _rows_of_days(table: Table, manifests: Sequence[Manifest]) -> pa.Table:
    """Returns one row per manifest."""
    row_of = _health_row if table is SOURCE_HEALTH else _title_row
    return pa.Table.from_pylist([row_of(manifest) for manifest in manifests], schema=table.schema)


def _health_row(manifest: Manifest) -> dict[str, Any]:
    return {**manifest.figures, "day": date.fromisoformat(manifest.day)}


def _title_row(manifest: Manifest) -> dict[str, Any]:
    number = _issue_id(manifest.day)
    return {
        "issue_id": number,
        "issue_url": f"https://github.com/a/b/issues/{number}",
        "repo": "a/b",
        "title": "t",
        "predicted_title": "p",
        "confidence": 0.5,
        "abstained": False,
        "created_at": _opened_at(manifest.day),
        "source_day": date.fromisoformat(manifest.day),
        "model": MODEL,
        "model_version": "3",
        "vocabulary": VOCABULARY,
        "mlflow_run": "run of m",
        "issues_batch": manifest.parameters["issues_batch"],
        "probability": None,
        "body_excerpt": "b",
        "author_association": None,
    }


@dataclass
class Requests:
    """The requests to the bucket that are counted, by verb and kind, and the paths of them all: each entry
    of `paths` is a verb, a kind and a path."""

    of_verb: dict[str, Counter[Request]]
    paths: list[tuple[str, Request, str]] = field(default_factory=list)
    verb: str = ""

    @contextmanager
    def during(self, verb: str) -> Iterator[None]:
        """Counts the requests of a verb."""
        self.verb = verb
        self.of_verb[verb] = Counter()
        try:
            yield
        finally:
            self.verb = ""

    @property
    def total(self) -> int:
        """The number of all requests of all verbs."""
        return sum(sum(counts.values()) for counts in self.of_verb.values())


def count_requests(patch: pytest.MonkeyPatch) -> Requests:
    """Counts the requests to the bucket as an object store bills them: a listing is a request per 1,000
    names."""
    requests, inside = Requests({}), threading.local()
    kinds = {
        "cat_file": "GET",
        "pipe_file": "PUT",
        "rm_file": "DELETE",
        "ls": "LIST",
        "find": "LIST",
        "info": "GET",
    }

    def counting(method: str) -> Callable[..., Any]:
        original = getattr(MemoryFileSystem, method)

        def counted(filesystem: MemoryFileSystem, *arguments: Any, **options: Any) -> Any:
            is_outermost, inside.call = not getattr(inside, "call", False), True
            listed = 0
            try:
                result = original(filesystem, *arguments, **options)
                listed = len(result) if kinds[method] == "LIST" else 0
                return result
            finally:
                if is_outermost:
                    inside.call = False
                    if requests.verb:
                        requests.of_verb[requests.verb][kinds[method]] += max(1, -(-listed // 1000))
                        requests.paths.append((requests.verb, kinds[method], str(arguments[0])))

        return counted

    for method in kinds:
        patch.setattr(MemoryFileSystem, method, counting(method))
    return requests
