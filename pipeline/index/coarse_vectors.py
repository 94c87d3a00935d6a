"""Makes an exact search faster: leaves out items that are certainly not among the nearest of a query.

A copy of the vectors is kept in memory, rounded to 8 bits per number. Queries are rounded in the same way.
Comparisons with the copy are several times faster than comparisons with the stored vectors. Rounding changes
a cosine by at most a known error. An item is left out only if enough other items are nearer even with the
largest possible errors. The few remaining items are compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.eight_bits import Rounded, RoundedRows
from pipeline.index.highest_scores import highest_scores, nth_highest
from pipeline.index.release_days import EmbeddingMatrix
from pipeline.index.unit_vectors import VECTORS_PER_BLOCK, Vectors, lengths_of, unit_vectors

Numbers = npt.NDArray[np.int64]
_ROUNDING: Final = 4e-6
"""Largest error of a cosine in single precision, apart from the 8 bits."""
ITEMS_PER_BLOCK: Final = 32_768
"""Number of items whose cosines with a few queries stay in a core's cache."""
QUERIES_TOGETHER: Final = 32
"""Largest number of queries in a matrix product."""


@dataclass(frozen=True)
class CoarseVectors:
    """The rounded unit vectors of n items, in blocks of ITEMS_PER_BLOCK items. The last block may be smaller.

    `error` is the largest distance between a rounded vector and the item's unit vector.
    """

    blocks: tuple[RoundedRows, ...]
    error: float

    @classmethod
    def of(cls, matrices: Iterable[EmbeddingMatrix]) -> CoarseVectors:
        """Scales each row of several matrices (items, size) to length 1, and rounds it. Keeps the order."""
        blocks, error = [], 0.0
        for units in _in_blocks(_unit_vectors_of(matrices)):
            rounded = Rounded.of(units)
            error = max(error, float(rounded.errors(units).max()))
            blocks.append(RoundedRows(rounded))
        return cls(tuple(blocks), error)

    def possibly_nearest(
        self, unit_queries: Vectors, allowed: npt.NDArray[np.bool_], count: int
    ) -> tuple[Numbers, Numbers]:
        """Finds, for each query, all items that may be among its `count` nearest allowed items.

        Returns two arrays of the same length: the positions of the queries, and the items that were found for
        them. A query's position is repeated for each item that was found for it. `unit_queries` (queries,
        size) are vectors of length 1. `allowed` (n,) says which items are allowed.
        """
        if count >= ITEMS_PER_BLOCK or np.count_nonzero(allowed) <= count:
            items = np.flatnonzero(allowed)
            return np.repeat(np.arange(len(unit_queries)), len(items)), np.tile(items, len(unit_queries))
        pairs = [
            self._pairs(unit_queries[first : first + QUERIES_TOGETHER], allowed, count, first)
            for first in range(0, len(unit_queries), QUERIES_TOGETHER)
        ]
        return np.concatenate([rows for rows, _ in pairs]), np.concatenate([items for _, items in pairs])

    def _pairs(
        self, unit_queries: Vectors, allowed: npt.NDArray[np.bool_], count: int, first: int
    ) -> tuple[Numbers, Numbers]:
        """Returns what `possibly_nearest` returns, but only for the few queries in `unit_queries`. `first` is
        the position of the first of them among all queries."""
        queries = Rounded.of(unit_queries)
        # A query q and an item b are rounded to q' and b'. Then |q b - q' b'| <= |b - b'| + |q - q'| |b'|.
        errors = (
            self.error + queries.errors(unit_queries) * np.float32(1 + self.error) + np.float32(_ROUNDING)
        )
        ties = 2 * errors / queries.scales
        height, width = len(unit_queries), min(ITEMS_PER_BLOCK, len(allowed))
        scores, bounds = np.empty((height, width), np.float32), np.full(height, -np.inf, np.float32)
        candidates, start = [], 0
        for block in self.blocks:
            own = slice(start, start + len(block))
            start = own.stop
            if not allowed[own].any():
                continue
            scores_of_block = block.products(queries.numbers, out=scores[:, : len(block)])
            scores[:, len(block) :] = -np.inf
            if not allowed[own].all():
                scores_of_block[:, ~allowed[own]] = -np.inf
            rows, columns, last = highest_scores(scores, count, ties, bounds)
            np.maximum(bounds, last, out=bounds)
            candidates.append((rows, columns + own.start, scores[rows, columns]))
        rows, items, values = (np.concatenate(arrays) for arrays in zip(*candidates, strict=True))
        by_row = np.argsort(rows, kind="stable")
        rows, items, values = rows[by_row], items[by_row], values[by_row]
        is_near = values >= (nth_highest(rows, values, height, count) - ties)[rows]
        return rows[is_near] + first, items[is_near]


def _unit_vectors_of(matrices: Iterable[EmbeddingMatrix]) -> Iterator[Vectors]:
    for matrix in matrices:
        for start in range(0, len(matrix), VECTORS_PER_BLOCK):
            vectors = matrix[start : start + VECTORS_PER_BLOCK]
            yield unit_vectors(vectors, lengths_of(vectors))


def _in_blocks(parts: Iterable[Vectors]) -> Iterator[Vectors]:
    """Yields the rows of all parts, in arrays of ITEMS_PER_BLOCK rows. The last array may be smaller."""
    waiting: list[Vectors] = []
    rows = 0
    for vectors in parts:
        waiting.append(vectors)
        rows += len(vectors)
        while rows >= ITEMS_PER_BLOCK:
            joined = np.concatenate(waiting)
            yield joined[:ITEMS_PER_BLOCK]
            waiting = [joined[ITEMS_PER_BLOCK:]]
            rows -= ITEMS_PER_BLOCK
    if rows:
        yield np.concatenate(waiting)
