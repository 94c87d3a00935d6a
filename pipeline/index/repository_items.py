"""All issues of one repository, read from the segments of an index.

In each segment, the issues of a repository are consecutive. So the time to read a repository depends on the
number of its issues, and not on the size of the segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from pipeline.index.release_days import EmbeddingMatrix
from pipeline.index.segment import Numbers, Segment
from pipeline.index.segment_terms import take_terms
from pipeline.index.unit_vectors import Lengths, Rows, lengths_of
from pipeline.text.issue_terms import IssueTerms

Slices = Sequence[tuple[int, range]]
"""Where the issues of a repository are: positions of segments, and the items of each."""


@dataclass(frozen=True)
class RepositoryItems:
    """The n issues of a repository, in the order in which they were opened: by source day, time and id.

    `segments` and `items` say where each issue is stored. `vectors` are (n, size). `terms` is None if some of
    the issues are in a segment that an earlier version of Titler made.
    """

    segments: Numbers
    items: Numbers
    created_at: Numbers
    issue_ids: Numbers
    source_days: Numbers
    vectors: EmbeddingMatrix
    terms: IssueTerms | None

    def __len__(self) -> int:
        return len(self.issue_ids)

    def until(self, source_day: int) -> RepositoryItems:
        """Returns only the issues up to the end of the source day `source_day` (days since 1970)."""
        end = int(np.searchsorted(self.source_days, source_day, side="right"))
        return RepositoryItems(
            self.segments[:end],
            self.items[:end],
            self.created_at[:end],
            self.issue_ids[:end],
            self.source_days[:end],
            self.vectors[:end],
            self.terms.slice(0, end) if self.terms else None,
        )

    def take(self, positions: Numbers) -> RepositoryItems:
        """Returns some of the issues, in the order of `positions`."""
        return RepositoryItems(
            self.segments[positions],
            self.items[positions],
            self.created_at[positions],
            self.issue_ids[positions],
            self.source_days[positions],
            self.vectors[positions],
            take_terms(self.terms, positions) if self.terms else None,
        )

    def before(self, issue_ids: Numbers) -> Numbers:
        """Returns, for each issue in `issue_ids`, how many issues of the repository were opened before it.
        If an issue is not in the repository, its value is the number of all issues of the repository."""
        order = np.argsort(self.issue_ids)
        places = np.searchsorted(self.issue_ids, issue_ids, sorter=order)
        positions = order[np.minimum(places, len(self) - 1)]
        return np.where(self.issue_ids[positions] == issue_ids, positions, len(self))

    def lengths(self, rows: Rows) -> Lengths:
        """Returns the Euclidean lengths of the vectors in some rows."""
        return self._all_lengths[rows]

    @cached_property
    def _all_lengths(self) -> Lengths:
        return lengths_of(self.vectors)

    @cached_property
    def first_created_at(self) -> int:
        return int(self.created_at.min())

    @cached_property
    def last_created_at(self) -> int:
        return int(self.created_at.max())

    @cached_property
    def last_source_day(self) -> int:
        return int(self.source_days.max())


def find_repositories(segments: Sequence[Segment], repos: Sequence[str]) -> Mapping[str, Slices]:
    """Returns where the issues of each repository are stored: pairs of a segment's position and a range of
    items.

    The list of repositories of each segment is read only once. Repositories without issues are left out.
    """
    names, slices = pa.array(repos, pa.string()), dict[str, list[tuple[int, range]]]()
    for position, segment in enumerate(segments):
        for repo, items in segment.of_repositories(names).items():
            slices.setdefault(repos[repo], []).append((position, items))
    return slices


def read_repository(segments: Sequence[Segment], slices: Slices) -> RepositoryItems:
    """Reads the issues of a repository, which must have at least one. Raises LakeError if a file is
    damaged."""
    of_segments = [(segments[position], slice(items.start, items.stop)) for position, items in slices]
    source_days, created_at, issue_ids = (
        np.concatenate([getattr(segment, name)[own] for segment, own in of_segments])
        for name in ("source_days", "created_at", "issue_ids")
    )
    has_terms = all(segment.has_terms for segment, _ in of_segments)
    terms = [segment.terms.slice(own.start, own.stop) for segment, own in of_segments] if has_terms else []
    items = RepositoryItems(
        np.repeat([position for position, _ in slices], [len(items) for _, items in slices]),
        np.concatenate([np.arange(items.start, items.stop) for _, items in slices]),
        created_at,
        issue_ids,
        source_days,
        np.concatenate([segment.vectors[own] for segment, own in of_segments]),
        IssueTerms.concatenate(terms) if has_terms else None,
    )
    order = np.lexsort((issue_ids, created_at, source_days))
    # Nearly always, the issues are in order already, because segments are in order and sorted by age.
    return items if (order == np.arange(len(order))).all() else items.take(order)
