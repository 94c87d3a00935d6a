"""A lake with years of issues, written through the lake's own functions, so that all verbs accept it.

The issues of a small table, the pool, are repeated: their embeddings with noise, everything else as it is,
with ids, addresses, repositories and times of their own. So a lake of millions of issues is made in minutes.
No night reads the tokens, ids and predicted titles of its history. So tokens and ids are those of the titles
alone, and all predicted titles are the same. The neighbours of an issue are the ten issues before it,
whatever their vectors. The segments are those that `index` would build: only the terms of the pool's issues
are computed once, and not for every issue that repeats them.

A batch that exists already is not written again, so a history whose process was ended can be continued.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import (
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    ISSUES,
    PREDICTOR,
    REPOSITORY_LIST,
    SEGMENTS,
    SIMILAR_ISSUES,
    TITLE_PREDICTIONS,
    TOKENS,
    VECTORS,
    Table,
)
from pipeline.index.neighbours import SearchParameters, plan_neighbours
from pipeline.index.release_days import IndexedDay, read_items
from pipeline.index.segment_build import store_segment
from pipeline.index.segment_plan import plan_segments
from pipeline.index.segment_terms import take_terms
from pipeline.lake.batches import Lake
from pipeline.lake.day_catalogue import CurrentHealth
from pipeline.lake.list_columns import list_column, list_matrix
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.networks.shape import Description
from pipeline.networks.variants import variant_of
from pipeline.predictor.loading import load_faster
from pipeline.predictor.predictor import Model
from pipeline.settings import Settings
from pipeline.source.verdict_history import VerdictHistory, judge_day
from pipeline.stages.clean import clean_part
from pipeline.stages.embed import embed_part
from pipeline.stages.vectorize import vectorize_part
from pipeline.text.excerpt import EXCERPT_LENGTH
from pipeline.text.issue_terms import IssueTerms, issue_terms
from pipeline.tracking import open_tracking

PART = "part-00000.parquet"
NEIGHBOURS = 10
NOISE = 0.5
"""Length of the noise that is added to a repeated vector, as a part of the vector's own length."""
SEED = 7


@dataclass(frozen=True)
class Pool:
    """Issues that a history repeats. All columns, `embeddings` (issues, size) and `terms` have one row per
    issue."""

    issues: pa.Table
    tokens: pa.Table
    vectors: pa.Table
    embeddings: npt.NDArray[np.float16]
    terms: IssueTerms

    @classmethod
    def of(cls, texts: Sequence[Mapping[str, Any]], model: Model) -> Pool:
        """Returns the pool of these issues (keys `repo`, `title` and `body`), embedded by the model."""
        table = pa.table(
            {
                "issue_id": range(len(texts)),
                "repo": [text["repo"] for text in texts],
                "title": [text["title"] for text in texts],
                "body": pa.array([text["body"] for text in texts], pa.string()),
                "trainable": pa.repeat(True, len(texts)),
            }
        )
        embedded = embed_part(_vectors(table, model), model).column("embedding")
        embeddings = list_matrix(pa.chunked_array(embedded), model.network.shape.hidden_size)
        is_known = pa.array(embeddings.any(axis=1))  # the others would not be in the index
        known = table.filter(is_known)
        titles = known.set_column(3, "body", pa.nulls(len(known), pa.string()))
        return cls(
            known,
            clean_part(titles, model.engine),
            _vectors(titles, model),
            embeddings[is_known.to_numpy(zero_copy_only=False)],
            issue_terms(known["title"].to_pylist(), known["body"].to_pylist()),
        )

    def __len__(self) -> int:
        return len(self.issues)


def _vectors(issues: pa.Table, model: Model) -> pa.Table:
    rows = issues if model.vocabularies.units == "subwords" else clean_part(issues, model.engine)
    return vectorize_part(rows, model.vocabularies)


def month_days(last_day: date, months: int) -> Iterator[list[date]]:
    """Yields the days of each of the last `months` months, the last month up to `last_day`."""
    for age in range(months - 1, -1, -1):
        year, month = divmod(last_day.year * 12 + last_day.month - 1 - age, 12)
        day, days = date(year, month + 1, 1), []
        while day.month == month + 1 and day <= last_day:
            days.append(day)
            day += timedelta(days=1)
        yield days


def issues_per_day(issues: int, months: int, last_day: date) -> dict[str, int]:
    """Spreads a number of issues evenly over the months, and those of a month evenly over its days."""
    counts: dict[str, int] = {}
    for number, days in enumerate(month_days(last_day, months)):
        of_month = issues * (number + 1) // months - issues * number // months
        for position, day in enumerate(days):
            count = of_month * (position + 1) // len(days) - of_month * position // len(days)
            counts[str(day)] = count
    return counts


def add_champion(lake: Lake, settings: Settings, name: str, folder: Path) -> Manifest:
    """Stores the model in `folder` in the lake and makes it the champion. Returns its predictor's batch. Does
    nothing if the lake has the model."""
    pinned = Pinned(lake, "models", name)
    if pinned.is_open() and PREDICTOR in pinned.members:
        return pinned.members[PREDICTOR][0]
    tracking, variant = open_tracking(settings, lake), Description.read(folder).variant
    with tracking.training_run(name, {"variant": variant}, {}) as run:
        run_id = run.id
    register_version(tracking.uri, tracking.model_name, name, run_id, variant)
    tracking.promote(name)
    model = load_faster(folder)
    draft = lake.draft(PREDICTOR, {"model": name}, [name])
    draft.write_folder(folder)
    predictor = draft.commit(
        {
            "variant": variant,
            "vocabulary": model.vocabularies.id,
            "hidden_size": model.network.shape.hidden_size,
            "mlflow_run": run_id,
        }
    )
    pinned.open([], {})
    pinned.members.put(PREDICTOR, [predictor])
    return predictor


def register_version(uri: str, registered_name: str, model: str, run_id: str, variant: str) -> None:
    """Registers a version without files: nothing loads a model of this lake from MLflow."""
    from mlflow import MlflowClient

    from pipeline.tracking.card import MODEL_TAG
    from pipeline.tracking.registry import VARIANT_TAG

    client = MlflowClient(uri, uri)
    client.create_registered_model(registered_name)
    tags = {MODEL_TAG: model, VARIANT_TAG: variant}
    client.create_model_version(registered_name, f"runs:/{run_id}/predictor", run_id, tags=tags)


class IssueHistory:
    """Writes the days of a history into a lake: issues and what is made from them, up to the neighbours."""

    def __init__(self, lake: Lake, settings: Settings, pool: Pool, predictor: Manifest) -> None:
        self._lake, self._settings, self._pool, self._predictor = lake, settings, pool, predictor
        self._judged = VerdictHistory(CurrentHealth(lake))
        self._indexed: list[IndexedDay] = []
        self.issues = 0
        """The number of issues so far. The next issue has this number, and the id after it."""

    def add_day(self, day: str, count: int) -> None:
        """Writes a day of `count` issues."""
        numbers = np.arange(self.issues, self.issues + count)
        self.issues += count
        rows = pa.array(numbers % len(self._pool))
        opened = lru_cache(lambda: self._opened(numbers, day))
        model = self._predictor.partition["model"]
        issues = self._write(ISSUES, {"day": day}, opened, figures=_source_figures(count))
        judge_day(self._lake, issues, self._judged)
        engine = {"engine": self._settings.text.engine}
        tokens = self._write(
            TOKENS,
            {"day": day},
            lambda: _of_issues(self._pool.tokens.take(rows), opened()),
            [issues.digest],
            engine,
        )
        vocabulary = self._predictor.figures["vocabulary"]
        units = variant_of(self._predictor.figures["variant"]).units
        vectors = self._write(
            VECTORS,
            {"vocabulary": vocabulary, "day": day},
            lambda: _of_issues(self._pool.vectors.take(rows), opened()),
            [issues.digest if units == "subwords" else tokens.digest],
        )
        embeddings = self._write(
            EMBEDDINGS,
            {"model": model, "day": day},
            lambda: pa.table(
                {"issue_id": opened()["issue_id"], "embedding": list_column(self._embeddings(numbers))}
            ),
            [vectors.digest],
            {"predictor": self._predictor.digest},
        )
        self._write(
            TITLE_PREDICTIONS,
            {"model": model, "day": day},
            lambda: self._titles(opened(), issues),
            [vectors.digest, issues.digest],
            {"predictor": self._predictor.digest, "issues_batch": issues.batch_id},
            {"abstained": 0},
        )
        self._indexed.append(IndexedDay(day, issues, embeddings, ()))

    def add_segments(self, first_day: str) -> None:
        """Writes the segments of the periods that end before `first_day`, which may be a later day of the
        release."""
        index, model = self._settings.index, self._predictor.partition["model"]
        next_day = replace(self._indexed[-1], day=first_day)
        for plan in plan_segments([*self._indexed, next_day], index):
            if plan.days[-1] == next_day or self._lake.find(
                SEGMENTS.name, plan.partition(model), plan.inputs, plan.parameters
            ):
                continue
            items, matrices = [], []
            for day in plan.days:
                table, matrix = read_items(
                    self._lake, [day], self._pool.embeddings.shape[1], plan.group, plan.groups
                )
                items.append(SEGMENTS.conform(table))
                matrices.append(matrix)
            table = pa.concat_tables(items).combine_chunks()
            rows = (table["issue_id"].to_numpy() - 1) % len(self._pool)
            terms = take_terms(self._pool.terms, rows)
            store_segment(plan, table, np.concatenate(matrices), terms, self._lake, model, index)

    def add_neighbours(self) -> None:
        """Writes the neighbours of all days."""
        index, variant = self._settings.index, variant_of(self._predictor.figures["variant"])
        parameters = SearchParameters(
            index.neighbours,
            index.near_duplicate_distance or variant.near_duplicate_distance,
            self._settings.similar.months,
        )
        first = 0
        for day in plan_neighbours(self._indexed, parameters, self._settings.similar.recompute_days):
            count = day.day.issues.rows
            neighbours = lru_cache(partial(self._neighbours, first, count, day.day.day))
            opened = partial(self._opened, np.arange(first, first + count), day.day.day)
            partition = day.partition(self._predictor.partition["model"])
            for table, rows, key in (
                (SIMILAR_ISSUES, neighbours, day.parameters),
                (DUPLICATE_PAIRS, partial(self._pairs, neighbours, opened), day.pair_parameters),
            ):
                self._write(table, partition, rows, list(day.inputs), key, day.figures)
            first += count

    def _opened(self, numbers: npt.NDArray[np.int64], day: str) -> pa.Table:
        """Returns the rows of issues_v1 of the issues with these numbers."""
        pool = self._pool.issues.take(pa.array(numbers % len(self._pool)))
        copies, ids = (
            pa.array(values).cast(pa.string()) for values in (numbers // len(self._pool), numbers + 1)
        )
        repos = pc.binary_join_element_wise(pool["repo"], copies, "-")
        midnight = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 1_000_000
        step = 86_400_000_000 // max(1, len(numbers))
        times = pa.array(midnight + step * np.arange(len(numbers))).cast(pa.timestamp("us", "UTC"))
        return pa.table(
            {
                "issue_id": numbers + 1,
                "issue_url": pc.binary_join_element_wise("https://github.com/", repos, "/issues/", ids, ""),
                "repo": repos,
                "number": numbers + 1,
                "author": pa.nulls(len(numbers), pa.string()),
                "author_association": pa.nulls(len(numbers), pa.string()),
                "title": pool["title"],
                "body": pool["body"],
                "created_at": times,
                "event_id": ids,
                "trainable": pool["trainable"],
                "source": pa.repeat("https://data.gharchive.org", len(numbers)),
            }
        )

    def _embeddings(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
        vectors = self._pool.embeddings[numbers % len(self._pool)].astype(np.float32)
        random = np.random.default_rng([SEED, int(numbers[0])])
        noise = random.standard_normal(vectors.shape, dtype=np.float32)
        noise *= NOISE * np.linalg.norm(vectors, axis=1, keepdims=True) / np.sqrt(vectors.shape[1])
        noise[numbers < len(self._pool)] = 0
        return (vectors + noise).astype(np.float16)

    def _titles(self, opened: pa.Table, issues: Manifest) -> pa.Table:
        columns = {name: opened[name] for name in ("issue_id", "issue_url", "repo", "title", "created_at")}
        figures, count = self._predictor.figures, len(opened)
        constants = {
            "predicted_title": "a title",
            "confidence": 0.5,
            "abstained": False,
            "source_day": date.fromisoformat(issues.day),
            "model": self._predictor.partition["model"],
            "model_version": "1",
            "vocabulary": figures["vocabulary"],
            "mlflow_run": figures["mlflow_run"],
            "issues_batch": issues.batch_id,
        }
        repeated = {name: pa.repeat(value, count) for name, value in constants.items()}
        unknown = {
            "probability": pa.nulls(count, pa.float64()),
            "author_association": pa.nulls(count, pa.string()),
        }
        excerpts = {"body_excerpt": pc.utf8_slice_codeunits(opened["body"], 0, EXCERPT_LENGTH)}
        return pa.table({**columns, **repeated, **unknown, **excerpts})

    def _neighbours(self, first: int, count: int, day: str) -> pa.Table:
        """Returns the rows of similar_issues_v2 of `count` issues, whose numbers begin with `first`."""
        start = max(0, first - NEIGHBOURS)
        known = self._opened(np.arange(start, first + count), day).drop_columns("body")
        own = np.repeat(np.arange(first, first + count), NEIGHBOURS)
        ranks = np.tile(np.arange(1, NEIGHBOURS + 1), count)
        exists = own - ranks >= 0
        own, ranks = own[exists], ranks[exists]
        issues, similar = known.take(pa.array(own - start)), known.take(pa.array(own - ranks - start))
        return pa.table(
            {
                "issue_id": issues["issue_id"],
                "issue_url": issues["issue_url"],
                "list": pa.repeat(REPOSITORY_LIST, len(ranks)),
                "rank": ranks,
                "similar_issue_id": similar["issue_id"],
                "similar_issue_url": similar["issue_url"],
                "similar_title": similar["title"],
                "distance": 0.5 + ranks / (2 * NEIGHBOURS),
                "same_repo": pc.equal(issues["repo"], similar["repo"]),
                "near_duplicate": pa.repeat(False, len(ranks)),
                "probability": 0.5 - ranks / (4 * NEIGHBOURS),
                "words_in_common": pa.repeat("crash, window", len(ranks)),
                "title_overlap": pa.repeat(0.5, len(ranks)),
                "age_days": pa.repeat(30, len(ranks)),
                "similar_text": pa.repeat("own", len(ranks)),
                "group_size": pa.repeat(1, len(ranks)),
            }
        )

    def _pairs(self, similar_issues: Callable[[], pa.Table], opened: Callable[[], pa.Table]) -> pa.Table:
        """Returns rows of duplicate_pairs_v1 for one neighbour of every thirtieth issue."""
        neighbours, issues = similar_issues(), opened()
        nearest = neighbours.filter(pc.equal(neighbours["rank"], 1))
        nearest = nearest.take(pa.array(np.arange(0, len(nearest), 30)))
        own = issues.take(pc.index_in(nearest["issue_id"], issues["issue_id"]))
        similar = {name: nearest[name] for name in ("similar_issue_id", "similar_issue_url", "similar_title")}
        return pa.table(
            {
                **{name: own[name] for name in ("issue_id", "issue_url", "repo", "title")},
                **similar,
                "similar_day": pc.cast(own["created_at"], pa.date32()),
                "probability": nearest["probability"],
            }
        )

    def _write(
        self,
        table: Table,
        partition: dict[str, str],
        make_rows: Callable[[], pa.Table],
        inputs: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
        figures: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Returns the batch of these rows. Makes and writes them unless the lake has the batch."""
        if existing := self._lake.reuse(table.name, partition, inputs, parameters or {}):
            return existing
        draft = self._lake.draft(table.name, partition, inputs, parameters)
        draft.write_table(PART, make_rows(), table)
        return draft.commit(figures)


def _of_issues(rows: pa.Table, opened: pa.Table) -> pa.Table:
    """Returns rows of the pool with the ids and repositories of the issues that they stand for."""
    for name in ("issue_id", "repo"):
        rows = rows.set_column(rows.column_names.index(name), name, opened[name])
    return rows


def _source_figures(issues: int) -> dict[str, Any]:
    """Returns the figures of a complete source day that has no events but openings."""
    return {
        "hours_found": 24,
        "hours_missing": [],
        "events": issues,
        "malformed": 0,
        "trainable": issues,
        "untrainable": {},
    }
