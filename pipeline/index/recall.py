"""Measures the recall of an index: the share of the exact nearest neighbours that the index finds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.index.annoy_index import Index, Vectors

TIE = 1e-5
"""Two cosines that differ by less than this count as equal."""


def measure_recall(
    index: Index,
    vectors: Vectors,
    queries: npt.NDArray[np.int64],
    *,
    neighbours: int = 10,
    search_k: int = -1,
) -> float:
    """Returns the mean share (0 to 1) of each query's exact nearest neighbours that the index finds.

    `queries` are item numbers. Without queries, the recall is 1. `vectors` (items, size) are the vectors in
    the index; none may be zero. The exact search computes the cosine with every vector. An item that the
    index finds is a hit if it is at most as far from the query as the farthest exact neighbour. So ties count
    as hits, as in ann-benchmarks.
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
