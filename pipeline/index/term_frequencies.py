"""Counts how many issues contain a term.

A term is a hash of 32 bits. Its last 20 bits are the number of its bucket. To count each term separately, all
terms would have to be sorted. Where approximate numbers are enough, the terms of a bucket are counted
together instead. The error is small, because few terms share a bucket with a frequent term.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.issue_terms import IssueTerms

BUCKETS: Final = 1 << 20
_BUCKET: Final = np.uint32(BUCKETS - 1)
_MAX_SORTED: Final = 1 << 17
"""Up to this many terms are sorted by bucket. A table of all buckets takes longer for so few terms, and less
time for more."""


class BucketCounts:
    """Counts how many of the given terms are in each bucket.

    `terms` (n,) are the terms of several issues. Each issue contributes each of its terms once. So the number
    of times that a term occurs in `terms` is the number of issues that contain it.
    """

    def __init__(self, terms: NDArray[np.uint32], is_small: bool | None = None) -> None:
        is_small = len(terms) <= _MAX_SORTED if is_small is None else is_small
        buckets = terms & _BUCKET
        self._table = None if is_small else np.bincount(buckets, minlength=BUCKETS)
        self._sorted = np.sort(buckets) if is_small else buckets[:0]

    def of(self, terms: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Returns, for each of `terms`, how many of the counted terms are in its bucket."""
        buckets = terms & _BUCKET
        if self._table is not None:
            return self._table[buckets]
        ends: NDArray[np.int64] = np.searchsorted(self._sorted, buckets, side="right")
        return ends - np.searchsorted(self._sorted, buckets, side="left")


class Background:
    """Issues in which the frequencies of terms are counted, but which are not compared with a query.

    Many searches can share a background. Its terms are counted only once.
    """

    def __init__(self, issues: IssueTerms) -> None:
        self.body_hashes = issues.body_hashes
        self.buckets = BucketCounts(issues.terms, is_small=False)
        self._terms = np.sort(issues.terms)

    def __len__(self) -> int:
        return len(self.body_hashes)

    @property
    def total(self) -> int:
        """The number of terms of all issues together. A term counts once for each issue that contains it."""
        return len(self._terms)

    def frequencies(self, terms: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Returns how many issues contain each term."""
        ends: NDArray[np.int64] = np.searchsorted(self._terms, terms, side="right")
        return ends - np.searchsorted(self._terms, terms, side="left")


NO_BACKGROUND: Final = Background(IssueTerms.concatenate([]))
