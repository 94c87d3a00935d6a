"""Finds the neighbours that a release stores for each issue: the most similar older issues."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.index.annoy_index import Index

OVERSAMPLING = 10
"""Number of older candidates per wanted neighbour. A search of the index asks for so many candidates that it
can expect this number to be older than the issue."""
EXACT_BELOW = 10_000
"""An item with fewer older items than this is compared with all of them, without the index. The index would
have to return most of its items to find enough older ones."""


class OlderNeighbours:
    """Finds the nearest older items of an item in the index of a release.

    An item is an issue with its vector. An item is older than another if its issue was opened earlier. If
    both issues were opened at the same time, the issue with the smaller id counts as older. `items` has one
    row per item. `vectors` (items, size) has the vector of each item, and `index` is the Annoy index of these
    vectors.
    """

    def __init__(
        self, items: pa.Table, vectors: npt.NDArray[np.float32], index: Index, search_k: int
    ) -> None:
        self._items = items
        self._vectors = vectors
        self._index = index
        self._search_k = search_k
        by_age = np.lexsort((items.column("issue_id").to_numpy(), items.column("created_at").to_numpy()))
        self._age_rank = np.empty(len(items), dtype=np.int64)
        self._age_rank[by_age] = np.arange(len(items))
        self._oldest = by_age[:EXACT_BELOW]
        oldest = vectors[self._oldest]
        self._oldest_unit = oldest / np.linalg.norm(oldest, axis=1, keepdims=True)

    def nearest_older(self, item: int, neighbours: int) -> list[tuple[int, float]]:
        """Returns (item, angular distance) of up to `neighbours` items older than `item`, nearest first.

        If there are fewer than EXACT_BELOW older items, the search is exact. Otherwise the index is searched.
        The number of candidates is chosen so that OVERSAMPLING * `neighbours` of them can be expected to be
        older.
        """
        older = int(self._age_rank[item])
        if older < EXACT_BELOW:
            cosines = self._oldest_unit[:older] @ self._oldest_unit[older]
            nearest = np.argsort(-cosines, kind="stable")[:neighbours]
            distances = np.sqrt(np.maximum(0, 2 - 2 * cosines[nearest]))
            return list(zip(self._oldest[nearest].tolist(), distances.tolist(), strict=True))
        candidates = min(len(self._items), neighbours * OVERSAMPLING * math.ceil(len(self._items) / older))
        search_k = max(self._search_k, 2 * candidates)
        nearest_items = self._index.nearest(self._vectors[item], candidates, search_k)
        return [
            (neighbour, distance)
            for neighbour, distance in nearest_items
            if self._age_rank[neighbour] < older
        ][:neighbours]

    def rows(
        self, items: npt.NDArray[np.int64], neighbours: int, near_duplicate_distance: float
    ) -> Iterator[dict[str, object]]:
        """Yields the rows of similar_issues_v1 for these items: up to `neighbours` older issues per item.

        A neighbour is marked as a near-duplicate if its angular distance is below `near_duplicate_distance`.
        """
        for item in items.tolist():
            nearest = self.nearest_older(item, neighbours)
            own, *neighbours_rows = self._items.take(
                pa.array([item, *(neighbour for neighbour, _ in nearest)])
            ).to_pylist()
            for rank, (neighbour, (_, distance)) in enumerate(
                zip(neighbours_rows, nearest, strict=True), start=1
            ):
                yield {
                    "issue_id": own["issue_id"],
                    "issue_url": own["issue_url"],
                    "rank": rank,
                    "similar_issue_id": neighbour["issue_id"],
                    "similar_issue_url": neighbour["issue_url"],
                    "similar_title": neighbour["title"],
                    "distance": distance,
                    "same_repo": own["repo"] == neighbour["repo"],
                    "near_duplicate": distance < near_duplicate_distance,
                }
