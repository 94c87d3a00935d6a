"""The recall of an index: the share of the exact nearest neighbours that it finds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.index.annoy_index import Index, Vectors

TIE = 1e-5
"""Cosines that differ by less count as equal."""


def measure_recall(
    index: Index,
    vectors: Vectors,
    queries: npt.NDArray[np.int64],
    *,
    neighbours: int = 10,
    search_k: int = -1,
) -> float:
    """The share of the exact nearest neighbours of `queries` (item numbers) that the index finds, 0 to 1.

    `vectors` are the indexed vectors, shape (items, size), none of them zero. The exact search computes every
    cosine. An item counts if it is no farther away than the last exact neighbour, so ties are not misses (as
    in ann-benchmarks).
    """
    if not len(queries):
        return 1.0
    neighbours = min(neighbours, len(vectors))
    norms = np.linalg.norm(vectors, axis=1)
    hits = 0
    for query in queries:
        cosines = vectors @ vectors[query] / (norms * norms[query])
        last_exact = np.partition(cosines, -neighbours)[-neighbours] - TIE
        items = [item for item, _ in index.nearest(vectors[query], neighbours, search_k)]
        hits += int((cosines[items] >= last_exact).sum())
    return hits / (neighbours * len(queries))
