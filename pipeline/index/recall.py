"""Measures the recall of a search: the share of the exact nearest neighbours that it finds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.index.queries import Queries
from pipeline.index.segment import Segment
from pipeline.index.segment_search import search
from pipeline.settings import Index

RECALL_QUERIES = 200
"""Number of issues whose neighbours are searched to measure the recall."""
ITEMS_PER_BLOCK = 65_536
TIE = 1e-5
"""Two cosines that differ by less than this count as equal."""


def measure_recall(
    segments: Sequence[Segment], settings: Index, opened_since: int | None = None, neighbours: int = 10
) -> tuple[float, int]:
    """Measures the recall of the search in some segments. Returns the recall and the number of queries.

    The queries are a random sample of the issues in the segments. The recall is the share (0 to 1) of their
    exact nearest neighbours that the search finds. It is 1 if there are no neighbours. Issues that were
    opened before `opened_since` (microseconds since 1970) are not searched.

    Each query has up to `neighbours` exact nearest neighbours. An issue that the search finds is a hit if it
    is at least as near as the farthest of them. So ties count as hits, as in ann-benchmarks.
    """
    queries = _sample(segments, settings.seed, opened_since)
    exact = _exact_cosines(segments, queries, neighbours)
    expected_count = int((exact > -np.inf).sum())
    if not expected_count:
        return 1.0, len(queries)
    search_hits = search(segments, queries, neighbours, settings, one_at_a_time=True)
    last_exact = np.where(exact > -np.inf, exact, np.inf).min(axis=1) - TIE
    hits = int((1 - search_hits.distances**2 / 2 >= last_exact[search_hits.queries]).sum())
    return hits / expected_count, len(queries)


def _sample(segments: Sequence[Segment], seed: int, opened_since: int | None) -> Queries:
    """Returns the vectors of up to RECALL_QUERIES random issues of the segments."""
    ends = np.cumsum([segment.items for segment in segments], dtype=np.int64)
    count = int(ends[-1]) if len(ends) else 0
    random = np.random.default_rng(seed)
    numbers = np.sort(random.choice(count, min(count, RECALL_QUERIES), replace=False))
    vectors = []
    for position, segment in enumerate(segments):
        first = int(ends[position]) - segment.items
        own = numbers[(numbers >= first) & (numbers < ends[position])] - first
        if len(own):
            vectors.append(segment.vectors[own].astype(np.float32))
            segment.unmap()
    empty = np.empty((0, segments[0].size if segments else 0), dtype=np.float32)
    return Queries(np.concatenate([empty, *vectors]), opened_since)


def _exact_cosines(segments: Sequence[Segment], queries: Queries, neighbours: int) -> np.ndarray:
    """Returns the cosines of the nearest allowed issues of each query, shape (queries, neighbours). If there
    are fewer issues, the missing cosines are -inf."""
    unit = queries.vectors / np.linalg.norm(queries.vectors, axis=1, keepdims=True)
    best = np.full((len(queries), neighbours), -np.inf, dtype=np.float32)
    for segment in segments:
        if queries.opened_since is not None and segment.last_created_at < queries.opened_since:
            continue
        for start in range(0, segment.items, ITEMS_PER_BLOCK):
            block = slice(start, start + ITEMS_PER_BLOCK)
            vectors = segment.vectors[block].astype(np.float32)
            cosines = unit @ (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T
            if queries.opened_since is not None:
                cosines[:, segment.created_at[block] < queries.opened_since] = -np.inf
            candidates = np.concatenate([best, cosines], axis=1)
            best = np.partition(candidates, candidates.shape[1] - neighbours, axis=1)[:, -neighbours:]
        segment.unmap()
    return best
