"""Finds pairs of issues that a maintainer might call duplicates. They are rows of duplicate_pairs_v1.

Both issues of a pair are in the same repository. The view `duplicate_clusters` groups the issues of the pairs
into clusters. A pair is stored with the day of its newer issue. So a nightly run stores the pairs of the new
issues and does not change earlier pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.index.list_rows import hit_rows
from pipeline.index.queries import Hits
from pipeline.index.repository_items import RepositoryItems
from pipeline.index.segment import Numbers, Segment

PAIR_PROBABILITY: Final = 0.1
"""Smallest probability of a pair that is stored. It is half of the smallest value of the setting
`similar.cluster_probability`: the pair of a cluster's member and its canonical issue needs at least half of
the setting."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of a newer and an older issue, with their probabilities.

    `queries` has the position of the newer issue among the queries. `segments` and `items` say where the
    older issue is stored.
    """

    queries: Numbers
    segments: Numbers
    items: Numbers
    probabilities: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.queries)

    @classmethod
    def joined(cls, blocks: Sequence[Pairs]) -> Pairs:
        """Concatenates several objects of this class, in order."""
        numbers = np.empty(0, np.int64)
        none = cls(numbers, numbers, numbers, np.empty(0))
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(block, name) for block in [none, *blocks]]) for name in names))


def probable_pairs(repository: RepositoryItems, query: int, probabilities: Mapping[int, float]) -> Pairs:
    """Pairs a newer issue with each older issue of the same repository that it probably duplicates.

    `query` is the position of the newer issue among the queries. `probabilities` maps the ids of older issues
    to the probabilities of their pairs. Pairs with a probability below PAIR_PROBABILITY are left out. Older
    issues that programs opened are also left out: such reports are alike even if their problems differ.
    The pair with the oldest issue comes first. `repository.terms` must not be None.
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
    """Returns the rows of duplicate_pairs_v1 for some pairs.

    The source day of the newer issue is in the additional column `day`. `issues` has the columns that
    `read_items` returns.
    """
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
