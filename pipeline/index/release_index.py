"""Reads and writes the index of a release in the lake.

The index is a batch of two files: `issues.ann` has the vectors, and `ids.parquet` has the issue of each item.
"""

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
    """Returns the items of a release's index: a table with one row per issue, and the vectors (items, size).

    The table has the columns ITEM_COLUMNS and `day`. Duplicate openings are left out. Issues with a zero
    vector are also left out, because the model's vocabulary contains none of their words. Raises UsageError
    if the release has no embeddings yet.
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
    """Returns `items` as the content of the file `ids.parquet`, compressed with zstd."""
    buffer = io.BytesIO()
    pq.write_table(items, buffer, compression="zstd")
    return buffer.getvalue()


def read_items(lake: Lake, manifest: Manifest) -> pa.Table:
    """Returns the table `ids.parquet` of an index: one row per item, in the order of the items.

    Raises LakeError if the file is missing or damaged.
    """
    file = next(file for file in manifest.files if file.name == ITEMS_FILE)
    return pq.read_table(io.BytesIO(lake.read_file(manifest, file)))


def open_index(folder: Path, manifest: Manifest) -> Index:
    """Opens an index. `folder` is a local copy of its batch, and `manifest` is the manifest of that batch.

    Raises LakeError if the file of the index is damaged.
    """
    return Index(folder / INDEX_FILE, manifest.figures["size"])


def find_item(release: Pinned, items: pa.Table, url: str) -> int:
    """Returns the item number of the issue with this URL.

    Raises UsageError if the issue is not in the release, or if it has no item because its vector is zero.
    """
    matches = np.flatnonzero(pc.equal(items.column("issue_url"), url).to_numpy())
    if len(matches):
        return int(matches[-1])
    for day in release.plan.days:
        urls = release.lake.read(release.lake.manifest(day.issues), ISSUES, ["issue_url"]).column("issue_url")
        if pc.any(pc.equal(urls, url)).as_py():
            raise UsageError(
                f"The text of {url} contains no word of the model's vocabulary, so no similar issues can be "
                "found.",
                'Search with another text instead: titler similar "TEXT"',
            )
    raise UsageError(
        f"The issue {url} is not in release {release.name}.",
        'Search with a text instead: titler similar "TEXT". To list the source days: titler status',
    )


def nearest_others(
    index: Index, vector: Vectors, item: int | None, neighbours: int, search_k: int
) -> list[tuple[int, float]]:
    """Returns (item, angular distance) of up to `neighbours` items nearest to `vector`, nearest first.

    `item` is left out of the result. If `item` is None, no item is left out.
    """
    pairs = index.nearest(vector, neighbours + 1, search_k)
    return [pair for pair in pairs if pair[0] != item][:neighbours]
