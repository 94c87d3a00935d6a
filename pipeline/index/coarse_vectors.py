"""Leaves out the items of a segment that are certainly not among the nearest of a query.

A copy of the vectors is kept in memory, with 8 bits per number. It is compared several times as fast as the
stored vectors. The cosines are wrong by at most `error`, so an item is left out only if enough others are
nearer whatever the errors are. The remaining items are few, and are compared exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.index.highest_scores import highest_scores
from pipeline.index.release_days import EmbeddingMatrix
from pipeline.index.unit_vectors import VECTORS_PER_BLOCK, Lengths, Vectors, rows_of, unit_vectors

Numbers = npt.NDArray[np.int64]
_LARGEST: Final = 127
_ROUNDING: Final = 4e-6
"""Largest error of a cosine in single precision, apart from the 8 bits."""


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

    def possibly_nearest(self, unit_query: Vectors, items: Numbers, count: int, bound: float) -> Numbers:
        """Returns the items that may be among the `count` nearest of a query, whose vector (size,) has the
        length 1. Items whose cosine is certainly lower than `bound` are left out, too."""
        if len(items) <= count:
            return items
        cosines = np.empty(len(items), np.float32)
        for start in range(0, len(items), VECTORS_PER_BLOCK):
            own = slice(start, start + VECTORS_PER_BLOCK)
            np.matmul(self.numbers[rows_of(items[own])].astype(np.float32), unit_query, out=cosines[own])
        cosines *= self.scales[items]
        bounds = np.array([bound + self.error], np.float32)
        _, columns, _ = highest_scores(cosines[None], count, 2 * self.error, bounds)
        return items[columns]
