"""A copy of the vectors that a search in all repositories compares one by one, kept in memory by a server.

These are the vectors of all segments without an Annoy index, and those of the few recent issues of a segment
whose other issues are too old to be searched. All of them are compared in one pass, with 8 bits per number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.index.coarse_vectors import CoarseVectors
from pipeline.index.queries import Queries
from pipeline.index.segment import Numbers, Segment
from pipeline.index.unit_vectors import Vectors, lengths_of


@dataclass(frozen=True)
class RecentVectors:
    """Vectors of several segments. `parts` has the items of each segment, by the segment's position in the
    index. The segments of which all items are kept come first.

    `complete` is their number. Of the other segments, the items are kept that were opened at
    `opened_since` or later, in microseconds since 1970. `created_at` has the time of each item.
    """

    opened_since: int
    parts: dict[int, Numbers]
    complete: int
    created_at: Numbers
    coarse: CoarseVectors

    @classmethod
    def of(cls, segments: Sequence[Segment], opened_since: int, exact_items: int) -> RecentVectors | None:
        """Reads the vectors. A segment with an Annoy index has a part if at most `exact_items` of its items
        were opened at `opened_since` or later. Returns None if no segment has a part. Raises LakeError if a
        file is damaged."""
        parts = {
            position: np.arange(segment.items)
            for position, segment in enumerate(segments)
            if segment.items and not segment.has_annoy
        }
        complete = len(parts)
        for position, segment in enumerate(segments):
            if segment.has_annoy and segment.first_created_at < opened_since <= segment.last_created_at:
                items = np.flatnonzero(segment.created_at >= opened_since)
                if len(items) <= exact_items:
                    parts[position] = items
        if not parts:
            return None
        vectors = (
            segments[position].vectors if place < complete else segments[position].vectors[items]
            for place, (position, items) in enumerate(parts.items())
        )
        return cls(
            opened_since,
            parts,
            complete,
            np.concatenate([segments[position].created_at[items] for position, items in parts.items()]),
            CoarseVectors.joined([CoarseVectors.of(own, lengths_of(own)) for own in vectors]),
        )

    def segments_for(self, opened_since: int | None) -> list[int]:
        """Returns the positions of the segments for which `candidates` finds all allowed items of queries
        that have this `opened_since`."""
        is_later = opened_since is not None and opened_since >= self.opened_since
        return list(self.parts)[: None if is_later else self.complete]

    def candidates(
        self, queries: Queries, unit_queries: Vectors, neighbours: int
    ) -> list[tuple[int, Numbers, Numbers]]:
        """Returns, for each segment of `segments_for`, its position, and pairs of a query and an item. The
        pairs include the `neighbours` nearest allowed items of each query, of all these segments together.
        `queries` must not have ages, and `unit_queries` have the length 1."""
        positions = self.segments_for(queries.opened_since)
        ends = np.cumsum([0, *(len(self.parts[position]) for position in positions)])
        allowed = np.arange(ends[-1])
        if queries.opened_since is not None:
            allowed = allowed[self.created_at[: ends[-1]] >= queries.opened_since]
        rows, numbers = self.coarse.possibly_nearest(unit_queries, allowed, neighbours)
        segments = np.searchsorted(ends, numbers, side="right") - 1
        pairs = []
        for place in np.unique(segments).tolist():
            own, position = segments == place, positions[place]
            pairs.append((position, rows[own], self.parts[position][numbers[own] - ends[place]]))
        return pairs
