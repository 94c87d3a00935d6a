"""Part of the stage `forget`: writes index files again, without the forgotten issues.

An index consists of segments, and each segment has its own files. The index of a release of Titler 0.1 has no
segments, only files.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.contracts import SEGMENTS
from pipeline.index import annoy_index
from pipeline.index.earlier_index import INDEX_FILE
from pipeline.index.earlier_index import ITEMS_FILE as EARLIER_ITEMS_FILE
from pipeline.index.segment import ITEMS_FILE, Segment, segment_figures, write_segment
from pipeline.index.segment_terms import take_terms
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft
from pipeline.lake.forgotten import Matcher
from pipeline.lake.manifest import Manifest
from pipeline.text.issue_terms import issue_terms

EARLIER_TREES, EARLIER_SEED = 50, 42
"""With which the index of a release of Titler 0.1 is built again if its manifest does not say it."""


def rewrite_segment(lake: Lake, segment: Manifest, draft: Draft, matcher: Matcher) -> dict[str, Any]:
    """Writes the files of a segment again, without the forgotten issues, into the new batch `draft`.

    Returns those figures of the manifest that change. The recall is not measured again.
    """
    opened = Segment.of_batch(lake, segment)
    rows = opened.rows(np.arange(opened.items), SEGMENTS.schema.names)
    keep = ~matcher.mask(rows)
    items, vectors = SEGMENTS.conform(rows.filter(keep)), opened.vectors[keep]
    if opened.has_terms:
        terms = take_terms(opened.terms, np.flatnonzero(keep))
    else:  # of an earlier version of Titler, whose segments are searched without terms
        terms = issue_terms([""] * len(items), [None] * len(items))
    annoy = segment.parameters.get("annoy") if len(items) else None
    figures = segment_figures(items, opened.size, terms, annoy)
    if not opened.has_terms:
        del figures["terms"]
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        write_segment(Path(folder), items, vectors, terms, annoy)
        for path in sorted(Path(folder).iterdir()):
            count = len(items) if path.name == ITEMS_FILE else 0
            draft.write_file(path.name, path.read_bytes(), count, keep_copy=True)
    return figures


def rewrite_earlier_index(lake: Lake, index: Manifest, draft: Draft, matcher: Matcher) -> dict[str, Any]:
    """Writes an index of Titler 0.1 again, without the forgotten issues, into the new batch `draft`.

    Returns those figures of the manifest that change.
    """
    file = next(file for file in index.files if file.name == EARLIER_ITEMS_FILE)
    rows = lake.read_part(index, file).combine_chunks()
    keep = ~matcher.mask(rows)
    size = int(index.figures["size"])
    opened = annoy_index.Index(lake.local_file(index, INDEX_FILE), size)
    remaining = rows.filter(keep)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        path, buffer = Path(folder, INDEX_FILE), io.BytesIO()
        vectors = np.array([opened.vector(int(item)) for item in np.flatnonzero(keep)], dtype=np.float32)
        parameters = index.parameters
        annoy_index.build(
            [vectors],
            size,
            path,
            trees=parameters.get("trees", EARLIER_TREES),
            seed=parameters.get("seed", EARLIER_SEED),
        )
        draft.write_file(INDEX_FILE, path.read_bytes(), keep_copy=True)
        pq.write_table(remaining, buffer)
        draft.write_file(EARLIER_ITEMS_FILE, buffer.getvalue(), len(remaining))
    return {"items": len(remaining)}
