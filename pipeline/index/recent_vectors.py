"""Keeps copies of vectors in a server's memory, so that a search in all repositories is faster.

The copies have 8 bits per number and are compared in one pass. All vectors of a segment without an Annoy
index are copied. If a segment has an Annoy index, the vectors of its recently opened issues are copied, as
long as there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.index.coarse_vectors import CoarseVectors
from pipeline.index.queries import Queries
from pipeline.index.segment import Numbers, Segment
from pipeline.index.unit_vectors import Vectors, rows_of


@dataclass(frozen=True)
class RecentVectors:
    """Copies of the vectors of several segments.

    `parts` maps the position of a segment in the index to the items of the segment that are copied.
    `complete` is the number of segments that are copied completely. They come first in `parts`. The other
    segments have copies of only the items that were opened at `opened_since` (microseconds since 1970) or
    later. `created_at` is when each of the copied items was opened.
    """

    opened_since: int
    parts: dict[int, Numbers]
    complete: int
    created_at: Numbers
    coarse: CoarseVectors

    @classmethod
    def of(cls, segments: Sequence[Segment], opened_since: int, most_items: int) -> RecentVectors | None:
        """Reads the vectors of the segments and copies them. Returns None if there are none to copy.

        First, all vectors of the segments without an Annoy index are copied. Then the segments with an Annoy
        index follow, from the last to the first. Only their items that were opened at `opened_since` or later
        are copied. A segment with an Annoy index is left out if its items would bring the total to more than
        `most_items` copies. Raises LakeError if a file is damaged.
        """
        parts = {
            position: np.arange(segment.items)
            for position, segment in enumerate(segments)
            if segment.items and not segment.has_annoy
        }
        count = sum(map(len, parts.values()))
        for position, segment in reversed(list(enumerate(segments))):
            if segment.has_annoy and opened_since <= segment.last_created_at:
                items = np.flatnonzero(segment.created_at >= opened_since)
                if count + len(items) <= most_items:
                    parts[position] = items
                    count += len(items)
        if not parts:
            return None
        incomplete = [position for position, items in parts.items() if len(items) < segments[position].items]
        for position in incomplete:
            parts[position] = parts.pop(position)
        return cls(
            opened_since,
            parts,
            len(parts) - len(incomplete),
            np.concatenate([segments[position].created_at[items] for position, items in parts.items()]),
            CoarseVectors.of(segments[position].vectors[rows_of(items)] for position, items in parts.items()),
        )

    def segments_for(self, opened_since: int | None) -> list[int]:
        """Returns the positions of the segments that `candidates` searches if the queries have
        this `opened_since`.

        In these segments, every issue that such a query allows has a copy of its vector.
        """
        is_later = opened_since is not None and opened_since >= self.opened_since
        return list(self.parts)[: None if is_later else self.complete]

    def candidates(
        self, queries: Queries, unit_queries: Vectors, neighbours: int
    ) -> list[tuple[int, Numbers, Numbers]]:
        """Searches the segments that `segments_for` returns. Returns a tuple for each segment that has
        candidates: the position of the segment, and two arrays with the query and the item of each candidate.

        In all these segments together, the candidates of a query include its nearest allowed items, as many
        as `neighbours` says. `queries.ages` must be None. `unit_queries` are the vectors of the queries,
        scaled to length 1.
        """
        positions = self.segments_for(queries.opened_since)
        ends = np.cumsum([0, *(len(self.parts[position]) for position in positions)])
        allowed = np.arange(len(self.created_at)) < ends[-1]
        if queries.opened_since is not None:
            allowed &= self.created_at >= queries.opened_since
        rows, numbers = self.coarse.possibly_nearest(unit_queries, allowed, neighbours)
        segments = np.searchsorted(ends, numbers, side="right") - 1
        pairs = []
        for place in np.unique(segments).tolist():
            own, position = segments == place, positions[place]
            pairs.append((position, rows[own], self.parts[position][numbers[own] - ends[place]]))
        return pairs
