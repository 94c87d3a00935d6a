"""Builds a segment of the index in the lake."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.contracts import SEGMENTS
from pipeline.index.recall import measure_recall
from pipeline.index.release_days import read_items
from pipeline.index.segment import ITEMS_FILE, Segment, segment_figures, write_segment
from pipeline.index.segment_plan import SegmentPlan
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Index


def build_segment(plan: SegmentPlan, lake: Lake, owner: str, size: int, settings: Index) -> Manifest:
    """Builds a segment from the embeddings of its days, measures its recall, and writes it into the lake.

    `owner` is the model that trained the embedding network, and `size` the length of a vector. Only
    items.parquet counts as rows of the batch.
    """
    items, vectors = read_items(lake, plan.days, size, plan.group, plan.groups)
    figures = segment_figures(items, size, plan.annoy)
    draft = lake.draft(SEGMENTS.name, plan.partition(owner), plan.inputs, plan.parameters)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        write_segment(Path(folder), items, vectors, plan.annoy)
        segment = Segment(figures, lambda name: Path(folder, name))
        recall, queries = measure_recall([segment], settings)
        for path in sorted(Path(folder).iterdir()):
            draft.write_file(path.name, path.read_bytes(), len(items) if path.name == ITEMS_FILE else 0)
    return draft.commit({**figures, "recall_at_10": recall, "recall_queries": queries})
