"""Builds a segment of the index in the lake."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import SEGMENTS
from pipeline.index.recall import measure_recall
from pipeline.index.release_days import EmbeddingMatrix, IndexedDay, read_items
from pipeline.index.segment import ITEMS_FILE, Segment, segment_figures, write_segment
from pipeline.index.segment_plan import SegmentPlan
from pipeline.index.segment_terms import TERMS_VERSION, take_terms
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Index
from pipeline.text.issue_terms import IssueTerms, issue_terms


@dataclass(frozen=True)
class SegmentToBuild:
    """A segment to build. `earlier` is the previous release's segment of the same period and repositories, or
    None.

    Usually the earlier segment already has most days of the new segment. Their items are copied from the
    earlier segment. So a nightly run reads only the files of the new day, and not those of the whole month.
    """

    plan: SegmentPlan
    earlier: Manifest | None = None


def build_segment(segment: SegmentToBuild, lake: Lake, owner: str, size: int, settings: Index) -> Manifest:
    """Builds a segment from the embeddings of its days, measures its recall, and writes it into the lake.

    `owner` is the model that trained the embedding network, and `size` is the length of a vector. Only the
    rows of items.parquet are counted as rows of the batch. The files have the same bytes with and without an
    earlier segment.
    """
    return store_segment(segment.plan, *_items(segment, lake, size), lake, owner, settings)


def store_segment(
    plan: SegmentPlan,
    items: pa.Table,
    vectors: EmbeddingMatrix,
    terms: IssueTerms,
    lake: Lake,
    owner: str,
    settings: Index,
) -> Manifest:
    """Writes a segment into the lake: its items, their vectors (items, size) and their terms."""
    size = vectors.shape[1]
    figures = segment_figures(items, size, terms, plan.annoy)
    draft = lake.draft(SEGMENTS.name, plan.partition(owner), plan.inputs, plan.parameters)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        write_segment(Path(folder), items, vectors, terms, plan.annoy)
        built = Segment(figures, lambda name: Path(folder, name))
        recall, queries = measure_recall([built], settings)
        for path in sorted(Path(folder).iterdir()):
            rows = len(items) if path.name == ITEMS_FILE else 0
            draft.write_file(path.name, path.read_bytes(), rows, keep_copy=True)
    return draft.commit({**figures, "recall_at_10": recall, "recall_queries": queries})


def _items(segment: SegmentToBuild, lake: Lake, size: int) -> tuple[pa.Table, EmbeddingMatrix, IssueTerms]:
    """Returns the items of a segment, in any order, with their vectors (items, size) and their terms.

    The same issues are left out as by `read_items`.
    """
    plan, earlier = segment.plan, segment.earlier
    reused = _days_in(earlier, plan.days) if earlier else []
    read = [day for day in plan.days if day not in reused]
    tables, matrices, terms = [], [], []
    if earlier and reused:
        opened = Segment.of_batch(lake, earlier)
        table = opened.rows(np.arange(opened.items), SEGMENTS.schema.names)
        names = pa.array([day.day for day in reused])
        is_reused = pc.is_in(table.column("day").cast(pa.string()), names)
        tables.append(SEGMENTS.conform(table.filter(is_reused)))
        matrices.append(opened.vectors[is_reused.to_numpy()])
        terms.append(take_terms(opened.terms, np.flatnonzero(is_reused.to_numpy())))
    for day in read:  # one by one, because the bodies of a month need much memory
        table, matrix = read_items(lake, [day], size, plan.group, plan.groups, with_bodies=True)
        titles, bodies = (table.column(name).to_pylist() for name in ("title", "body"))
        tables.append(SEGMENTS.conform(table.drop_columns("body")))
        matrices.append(matrix)
        terms.append(issue_terms(titles, bodies))
    return pa.concat_tables(tables).combine_chunks(), np.concatenate(matrices), IssueTerms.concatenate(terms)


def _days_in(earlier: Manifest, days: Sequence[IndexedDay]) -> list[IndexedDay]:
    """Returns the days whose items can be copied from an earlier segment.

    A day can be copied if the earlier segment was built from the same batches of the day and left out the
    same duplicate openings. If the terms of the earlier segment were made by a version of Titler that splits
    issues differently, no day can be copied.
    """
    if earlier.parameters.get("terms") != TERMS_VERSION:
        return []
    inputs = set(zip(earlier.inputs[::2], earlier.inputs[1::2], strict=True))
    superseded = earlier.parameters["superseded"]
    return [
        day
        for day in days
        if (day.issues.digest, day.embeddings.digest) in inputs
        and list(day.superseded) == superseded.get(day.day, [])
    ]
