"""Leaves out the items that are certainly not among the nearest of a query.

A copy of the vectors is kept in memory, with 8 bits per number. It is compared several times as fast as the
stored vectors. The cosines are wrong by at most `error`, so an item is left out only if enough others are
nearer whatever the errors are. The remaining items are few, and are compared exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.index.highest_scores import highest_scores
from pipeline.index.release_days import EmbeddingMatrix
from pipeline.index.unit_vectors import VECTORS_PER_BLOCK, Lengths, Rows, Vectors, rows_of, unit_vectors

Numbers = npt.NDArray[np.int64]
_LARGEST: Final = 127
_ROUNDING: Final = 4e-6
"""Largest error of a cosine in single precision, apart from the 8 bits."""
QUERIES_TOGETHER: Final = 8
"""Largest number of queries in a matrix product."""
PAIRS_TOGETHER: Final = 1024
"""Largest number of results of a matrix product. OpenBLAS multiplies such small matrices without copying them
first, and their vectors in single precision stay in a core's cache."""


@dataclass(frozen=True)
class CoarseVectors:
    """The unit vectors of n items: `numbers` (n, size) times `scales` (n,). `error` is the largest distance
    of such a vector from the item's unit vector, and so the largest error of a cosine."""

    numbers: npt.NDArray[np.int8]
    scales: Vectors
    error: float

    @classmethod
    def of(cls, vectors: EmbeddingMatrix, lengths: Lengths) -> CoarseVectors:
        """Returns the coarse vectors of some vectors, shape (n, size), with these lengths."""
        numbers, scales = np.empty(vectors.shape, np.int8), np.empty(len(vectors), np.float32)
        error = 0.0
        for start in range(0, len(vectors), VECTORS_PER_BLOCK):
            own = slice(start, start + VECTORS_PER_BLOCK)
            units = unit_vectors(vectors[own], lengths[own])
            scales[own] = np.abs(units).max(axis=1) / _LARGEST
            numbers[own] = np.rint(units / scales[own, None])
            units -= numbers[own] * scales[own, None]
            error = max(error, float(np.linalg.norm(units, axis=1).max()))
        return cls(numbers, scales, error + _ROUNDING)

    @classmethod
    def joined(cls, blocks: Sequence[CoarseVectors]) -> CoarseVectors:
        """Concatenates several objects of this class, in order. There must be at least one."""
        return cls(
            np.concatenate([block.numbers for block in blocks]),
            np.concatenate([block.scales for block in blocks]),
            max(block.error for block in blocks),
        )

    def possibly_nearest(self, unit_queries: Vectors, items: Numbers, count: int) -> tuple[Numbers, Numbers]:
        """Returns pairs of a query and an item that may be among the query's `count` nearest: positions of
        queries, and items. `unit_queries` (queries, size) have the length 1."""
        if len(items) <= count:
            return np.repeat(np.arange(len(unit_queries)), len(items)), np.tile(items, len(unit_queries))
        rows, columns, _ = highest_scores(self._cosines(unit_queries, items), count, 2 * self.error)
        return rows, items[columns]

    def _cosines(self, unit_queries: Vectors, items: Numbers) -> Vectors:
        """Returns approximate cosines, shape (queries, items)."""
        rows, size = rows_of(items), self.numbers.shape[1]
        cosines = np.empty((len(unit_queries), len(items)), np.float32)
        together = PAIRS_TOGETHER // max(1, min(len(unit_queries), QUERIES_TOGETHER))
        block = np.empty((together, size), np.float32)
        for start in range(0, len(items), together):
            own = slice(start, min(start + together, len(items)))
            numbers = block[: own.stop - own.start]
            numbers[...] = self.numbers[_slice_of(rows, own)]
            for first in range(0, len(unit_queries), QUERIES_TOGETHER):
                queries = slice(first, first + QUERIES_TOGETHER)
                np.matmul(unit_queries[queries], numbers.T, out=cosines[queries, own])
        cosines *= self.scales[rows]
        return cosines


def _slice_of(rows: Rows, own: slice) -> Rows:
    """Returns the rows at the positions `own` of `rows`."""
    if isinstance(rows, slice):
        return slice(rows.start + own.start, rows.start + own.stop)
    return rows[own]
