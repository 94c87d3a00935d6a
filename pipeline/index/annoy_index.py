"""Annoy: an index of vectors, its neighbours, and how many of the true ones it finds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from annoy import AnnoyIndex

from pipeline.errors import LakeError

Vectors = npt.NDArray[np.float32]


def build(vectors: Iterable[Vectors], size: int, path: Path, *, trees: int, seed: int) -> int:
    """Writes an index of all rows of `vectors` (arrays of shape (n, size)), item i being the i-th row; returns their number.

    One build thread and a fixed seed: the same vectors give the same bytes.
    """
    index = AnnoyIndex(size, "angular")
    index.set_seed(seed)
    items = 0
    for block in vectors:
        for vector in block:
            index.add_item(items, vector)
            items += 1
    index.build(trees, n_jobs=1)
    index.save(str(path))
    return items


class Index:
    """An index on disk, memory-mapped."""

    def __init__(self, path: Path, size: int) -> None:
        self._index = AnnoyIndex(size, "angular")
        try:
            self._index.load(str(path))
        except OSError as error:
            raise LakeError(
                f"{path} is not an index of vectors of {size} numbers ({error}).",
                "Make it again: titler index --release R",
            ) from None

    def __len__(self) -> int:
        return int(self._index.get_n_items())

    def vector(self, item: int) -> Vectors:
        """The vector of an item, shape (size,)."""
        return np.asarray(self._index.get_item_vector(item), dtype=np.float32)

    def nearest(self, vector: Vectors, neighbours: int, search_k: int = -1) -> list[tuple[int, float]]:
        """(item, angular distance) of the nearest items, nearest first. Angular distance is sqrt(2(1 - cosine)), 0 to 2."""
        items, distances = self._index.get_nns_by_vector(
            vector, neighbours, search_k=search_k, include_distances=True
        )
        return list(zip(items, distances, strict=True))


def recall(
    index: Index,
    vectors: Vectors,
    queries: npt.NDArray[np.int64],
    *,
    neighbours: int = 10,
    search_k: int = -1,
) -> float:
    """Share of the exact nearest neighbours of `queries` (item numbers) that the index finds, 0 to 1.

    `vectors` are the indexed ones, shape (items, size), none of them zero. Exact search is a full cosine product. An item found
    counts when it is no farther than the last exact neighbour, so that ties are no misses (as ann-benchmarks counts recall).
    """
    if not len(queries):
        return 1.0
    neighbours = min(neighbours, len(vectors))
    norms = np.linalg.norm(vectors, axis=1)
    found = 0
    for query in queries:
        cosines = vectors @ vectors[query] / (norms * norms[query])
        threshold = np.partition(cosines, -neighbours)[-neighbours] - 1e-5
        items = [item for item, _ in index.nearest(vectors[query], neighbours, search_k)]
        found += int((cosines[items] >= threshold).sum())
    return found / (neighbours * len(queries))
