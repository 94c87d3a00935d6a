"""The index of a release in the lake: `issues.ann` with the vectors, `ids.parquet` with the issue of each
item."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.contracts import EMBEDDINGS, ISSUES
from pipeline.errors import UsageError
from pipeline.index.annoy_index import Index, Vectors
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_matrix
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned

INDEX_FILE = "issues.ann"
ITEMS_FILE = "ids.parquet"
ITEM_COLUMNS = ["issue_id", "issue_url", "repo", "title", "created_at"]


def items_of_release(lake: Lake, release: Pinned, size: int) -> tuple[pa.Table, npt.NDArray[np.float32]]:
    """What the index of a release holds: one row per issue (ITEM_COLUMNS and `day`), and the vectors (items,
    size).

    Leaves out superseded issues, and issues that the model knows nothing about (a zero vector).
    """
    plan = release.plan
    tables, vectors = [], []
    for day, embeddings in zip(plan.days, release.members[EMBEDDINGS.name], strict=True):
        issues = lake.read(lake.manifest(day.issues), ISSUES, ITEM_COLUMNS)
        matrix = list_matrix(lake.read(embeddings, EMBEDDINGS).column("embedding"), size).astype(np.float32)
        mask = plan.keep_mask(day.day, issues.column("issue_id").to_numpy()) & matrix.any(axis=1)
        days = pa.array([day.day] * int(mask.sum()), pa.string())
        tables.append(issues.filter(mask).append_column("day", days))
        vectors.append(matrix[mask])
    return pa.concat_tables(tables), np.concatenate(vectors)


def items_to_parquet(items: pa.Table) -> bytes:
    """The content of `ids.parquet`."""
    buffer = io.BytesIO()
    pq.write_table(items, buffer, compression="zstd")
    return buffer.getvalue()


def read_items(lake: Lake, manifest: Manifest) -> pa.Table:
    """One row per item of a release's index, in the order of the items."""
    file = next(file for file in manifest.files if file.name == ITEMS_FILE)
    return pq.read_table(io.BytesIO(lake.read_file(manifest, file)))


def open_index(folder: Path, manifest: Manifest) -> Index:
    """The index in a local copy of its batch."""
    return Index(folder / INDEX_FILE, manifest.figures["size"])


def find_item(release: Pinned, items: pa.Table, url: str) -> int:
    """The item of an issue. Raises UsageError if it has none: because the issue is unknown, or because it has
    no vector."""
    matches = np.flatnonzero(pc.equal(items.column("issue_url"), url).to_numpy())
    if len(matches):
        return int(matches[-1])
    for day in release.plan.days:
        urls = release.lake.read(release.lake.manifest(day.issues), ISSUES, ["issue_url"]).column("issue_url")
        if pc.any(pc.equal(urls, url)).as_py():
            raise UsageError(
                f"{url} has no word that the model knows, so it has no neighbours.",
                'Ask with a text instead: titler similar "TEXT"',
            )
    raise UsageError(
        f"{url} is not in release {release.name}.",
        "`titler status` shows which days are; or ask with a text.",
    )


def nearest_others(
    index: Index, vector: Vectors, item: int | None, neighbours: int, search_k: int
) -> list[tuple[int, float]]:
    """(item, distance) of the nearest items except `item` itself, nearest first: at most `neighbours` of
    them."""
    pairs = index.nearest(vector, neighbours + 1, search_k)
    return [pair for pair in pairs if pair[0] != item][:neighbours]
