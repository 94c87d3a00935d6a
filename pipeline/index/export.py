"""Writes the index of a release as one Annoy file, for programs that read Annoy's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts import INDEX, SEGMENTS
from pipeline.errors import UsageError
from pipeline.index import annoy_index
from pipeline.index.queries import Vectors
from pipeline.index.segment import Numbers, Segment
from pipeline.lake.pinned import Pinned
from pipeline.settings import Index

INDEX_FILE = "issues.ann"
IDS_FILE = "ids.parquet"
COLUMNS = ["issue_id", "issue_url", "repo", "title", "created_at", "day"]
ITEMS_PER_BLOCK = 8192


def export_index(
    release: Pinned, settings: Index, folder: Path, first: date | None, last: date | None
) -> int:
    """Writes the index of a release into `folder`, in two files. Returns the number of issues.

    issues.ann is an Annoy index of the issues' vectors, with the metric `angular`. ids.parquet has one row
    per item of issues.ann, in the same order.

    Only issues of the source days from `first` to `last` are written, both included. None means no limit on
    that side. Raises UsageError if there are no such issues, if the release has no index yet, or if the index
    was made by Titler 0.1, because such an index already consists of these two files.
    """
    if INDEX in release.members:
        path = release.lake.path(release.members[INDEX][0].folder)
        raise UsageError(
            f"Release {release.name} was made by an earlier version of Titler. Its index is already a single "
            "Annoy index.",
            f"Copy the files {INDEX_FILE} and {IDS_FILE} from {path}.",
        )
    manifests = release.members[SEGMENTS.name]
    segments = [Segment.of_batch(release.lake, manifest) for manifest in manifests]
    selected = [_items_of_days(segment, first, last) for segment in segments]
    count = sum(len(items) for items in selected)
    if not count:
        raise UsageError(
            f"The index of release {release.name} has no issue in the given range of source days.",
            "Give other days. To list all days of the lake: titler status",
        )
    _make(folder)
    _write_ids(segments, selected, folder / IDS_FILE)
    return annoy_index.build(
        _blocks(segments, selected),
        segments[0].size,
        folder / INDEX_FILE,
        trees=settings.trees,
        seed=settings.seed,
    )


def _make(folder: Path) -> None:
    """Creates the folder. Raises UsageError if it or one of its parents is a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"The folder {folder} cannot be created, because {error.filename} is a file.",
            "Give another folder: titler export FOLDER",
        ) from None


def _items_of_days(segment: Segment, first: date | None, last: date | None) -> Numbers:
    """Returns those items of the segment that have a source day from `first` to `last`."""
    days = segment.source_days
    lowest = (first - date(1970, 1, 1)).days if first else -np.inf
    highest = (last - date(1970, 1, 1)).days if last else np.inf
    return np.flatnonzero((days >= lowest) & (days <= highest))


def _write_ids(segments: Sequence[Segment], selected: Sequence[Numbers], path: Path) -> None:
    schema = pa.schema(
        [*(SEGMENTS.schema.field(name).remove_metadata() for name in COLUMNS[:-1]), ("day", pa.string())]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for segment, items in zip(segments, selected, strict=True):
            if len(items):
                rows = segment.rows(items, COLUMNS)
                day = rows.column("day").cast(pa.string())
                writer.write_table(rows.set_column(len(COLUMNS) - 1, "day", day).cast(schema))


def _blocks(segments: Sequence[Segment], selected: Sequence[Numbers]) -> Iterator[Vectors]:
    for segment, items in zip(segments, selected, strict=True):
        for start in range(0, len(items), ITEMS_PER_BLOCK):
            yield segment.vectors[items[start : start + ITEMS_PER_BLOCK]].astype(np.float32)
