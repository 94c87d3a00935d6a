"""The types of a search in the index: its queries, the issues that they are compared with, and its hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.index.release_days import EmbeddingMatrix
from pipeline.index.segment import Numbers
from pipeline.index.unit_vectors import Lengths, Rows

Vectors = npt.NDArray[np.float32]


class Items(Protocol):
    """The issues of a segment or of a repository, which are compared with queries.

    Times are microseconds since 1970, and source days are days since 1970. `lengths` returns the Euclidean
    lengths of the vectors in some rows.
    """

    @property
    def vectors(self) -> EmbeddingMatrix: ...
    def lengths(self, rows: Rows) -> Lengths: ...
    @property
    def created_at(self) -> Numbers: ...
    @property
    def issue_ids(self) -> Numbers: ...
    @property
    def source_days(self) -> Numbers: ...
    @property
    def first_created_at(self) -> int: ...
    @property
    def last_created_at(self) -> int: ...
    @property
    def last_source_day(self) -> int: ...


@dataclass(frozen=True)
class Ages:
    """Says when the issues that serve as queries were opened: three arrays with one value per query.

    `created_at` are microseconds since 1970, and `source_days` are days since 1970. An issue is older than a
    query if it was opened before the query's issue. If both were opened at the same time, the one with the
    smaller id is older. `issue_ids` are the ids of the queries' issues.
    """

    created_at: Numbers
    issue_ids: Numbers
    source_days: Numbers

    def take(self, rows: Numbers) -> Ages:
        """Returns the ages of only the queries at the positions `rows`."""
        return Ages(self.created_at[rows], self.issue_ids[rows], self.source_days[rows])


@dataclass(frozen=True)
class Queries:
    """Vectors whose neighbours are to be found, shape (queries, size), and the conditions that a neighbour
    must meet.

    Issues that were opened before `opened_since` (microseconds since 1970) are not allowed. If `ages` are
    given, an issue is allowed only if it is older than the query, and its source day is not later than the
    query's.
    """

    vectors: Vectors
    opened_since: int | None = None
    ages: Ages | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: Numbers) -> Queries:
        """Returns only the queries at the positions `rows`."""
        return Queries(self.vectors[rows], self.opened_since, self.ages.take(rows) if self.ages else None)

    def allowed(self, rows: Numbers, stored: Items, items: Numbers) -> npt.NDArray[np.bool_]:
        """Returns, for each pair of a query and an item, whether the item meets the conditions of the query.

        `rows` are the positions of the queries, and `items` are the positions of the items in `stored`.
        """
        times = stored.created_at[items]
        is_allowed = np.ones(len(items), dtype=bool)
        if self.opened_since is not None:
            is_allowed &= times >= self.opened_since
        if self.ages is not None:
            own_times = self.ages.created_at[rows]
            ties = (times == own_times) & (stored.issue_ids[items] < self.ages.issue_ids[rows])
            is_allowed &= (times < own_times) | ties
            is_allowed &= stored.source_days[items] <= self.ages.source_days[rows]
        return is_allowed


@dataclass(frozen=True)
class Hits:
    """What a search found: one entry per query and neighbour, sorted by query and then by distance.

    `segments` are positions in the list of the segments that were searched, `items` are positions in the
    segment, and `distances` are angular distances: sqrt(2 (1 - cosine)), from 0 to 2.
    """

    queries: Numbers
    segments: Numbers
    items: Numbers
    distances: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def ranks(self) -> Numbers:
        """The rank of each entry among the entries of its query, from 0."""
        starts: Numbers = np.searchsorted(self.queries, self.queries)
        return np.arange(len(self.queries)) - starts

    def of_queries(self, first: int, end: int) -> Hits:
        """Returns the entries of the queries `first` to `end` - 1. In the result, the queries are numbered
        from 0."""
        start, stop = np.searchsorted(self.queries, (first, end)).tolist()
        own = slice(start, stop)
        return Hits(self.queries[own] - first, self.segments[own], self.items[own], self.distances[own])

    def shifted(self, count: int) -> Hits:
        """Returns a copy of the entries in which the number of each query is higher by `count`."""
        return replace(self, queries=self.queries + count)

    @classmethod
    def joined(cls, blocks: Sequence[Hits]) -> Hits:
        """Concatenates several objects of this class, in order. The query numbers of each object must be
        higher than those of the object before it."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(block, name) for block in blocks]) for name in names))


def months_before(day: str, months: int) -> int:
    """Returns the start of the month that is `months` months earlier than the month of `day`. The unit is
    microseconds since 1970."""
    month = np.datetime64(date.fromisoformat(day), "M") - months
    return int(month.astype("datetime64[us]").astype(np.int64))
