"""Finds the pairs of issues of a repository that a maintainer might call duplicates, as rows of
duplicate_pairs_v1.

The view `duplicate_clusters` makes clusters of these pairs. A pair is stored with the day of its newer issue,
so a night stores the pairs of its new issues and changes no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.index.queries import Hits
from pipeline.index.repository_items import RepositoryItems
from pipeline.index.segment import Numbers, Segment
from pipeline.index.segment_search import hit_rows

PAIR_PROBABILITY: Final = 0.1
"""Smallest probability of a pair that is stored. It is half of the smallest value of the setting
`similar.cluster_probability`: a member of a cluster needs half of the setting with the canonical issue."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of an issue and an older one: `queries` says which issue it is, and `segments` and `items` where
    the older one is stored."""

    queries: Numbers
    segments: Numbers
    items: Numbers
    probabilities: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.queries)

    @classmethod
    def joined(cls, blocks: Sequence[Pairs]) -> Pairs:
        """Returns the pairs of all blocks, in order."""
        numbers = np.empty(0, np.int64)
        none = cls(numbers, numbers, numbers, np.empty(0))
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(block, name) for block in [none, *blocks]]) for name in names))


def probable_pairs(repository: RepositoryItems, query: int, probabilities: Mapping[int, float]) -> Pairs:
    """Returns the pairs of an issue, the oldest first. `query` is its number, and `probabilities` are those
    of older issues of its repository, by issue id.

    Automated reports are left out: similar texts do not mean a common problem. The repository must have
    terms.
    """
    assert repository.terms is not None
    probable = {id_: value for id_, value in probabilities.items() if value >= PAIR_PROBABILITY}
    if not probable:  # as most issues
        return Pairs.joined([])
    is_probable = np.isin(repository.issue_ids, list(probable))
    own = np.flatnonzero(is_probable & ~repository.terms.automated)
    values = np.array([probable[issue_id] for issue_id in repository.issue_ids[own].tolist()], np.float64)
    return Pairs(np.full(len(own), query), repository.segments[own], repository.items[own], values)


def pair_rows(issues: pa.Table, segments: Sequence[Segment], pairs: Pairs) -> pa.Table:
    """Returns the rows of duplicate_pairs_v1 for some pairs, and their source day in the column `day`. The
    issues have the columns of `read_items`."""
    own = issues.take(pa.array(pairs.queries))
    hits = Hits(pairs.queries, pairs.segments, pairs.items, np.zeros(len(pairs)))
    similar = hit_rows(segments, hits, ["issue_id", "issue_url", "title", "day"])
    return pa.table(
        {
            "day": own.column("day"),
            "issue_id": own.column("issue_id"),
            "issue_url": own.column("issue_url"),
            "repo": own.column("repo"),
            "title": own.column("title"),
            "similar_issue_id": similar.column("issue_id"),
            "similar_issue_url": similar.column("issue_url"),
            "similar_title": similar.column("title"),
            "similar_day": similar.column("day"),
            "probability": pairs.probabilities,
        }
    )
