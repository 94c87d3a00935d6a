"""Finds the nearest issues in several segments of the index.

First, every segment is searched for candidates. In a small segment, all vectors are compared with all queries
in matrix products. In a large segment, the Annoy index is searched. Then the distances of all candidates are
computed again in double precision, one pair at a time. So the distance of a pair does not depend on its
segment, or on the other pairs. The candidates of all segments are merged by this distance. Of equally distant
issues, the oldest comes first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.index.highest_scores import highest_scores
from pipeline.index.queries import Ages, Hits, Items, Queries, Vectors
from pipeline.index.recent_vectors import RecentVectors
from pipeline.index.segment import Numbers, Segment
from pipeline.index.unit_vectors import rows_of, unit_vectors
from pipeline.settings import Index as IndexSettings

QUERIES_PER_BLOCK = 8192
"""Number of queries whose candidates are held in memory together."""
ITEMS_PER_BLOCK = 65_536
"""Number of vectors that are compared in one matrix product."""
VECTORS_IN_CACHE = 512
"""Number of vectors in single precision that fit into a core's cache: 300 KiB to 1 MiB."""
SCORES_PER_PRODUCT = 16_777_216
"""Largest number of results of a matrix product: 64 MiB."""
PAIRS_PER_BLOCK = 65_536
"""Number of pairs whose distances are computed together."""
TIE = 4e-6
"""Cosines in single precision that differ by less than this may have another order in double precision."""
TIES_KEPT = 64
"""Largest number of candidates that are kept because they are nearly as near as the last one. If there are
more, the oldest are kept."""
OVERSAMPLING = 10
"""If some of the items are not allowed, a query gets this many candidates per wanted neighbour from an Annoy
index."""
MANY_CANDIDATES = 1000
"""If the search with 8 bits leaves more candidates per query than this, they are compared in single precision
first."""
DECIMALS = 12
"""Cosines are rounded, so that issues with equal texts are equally distant."""


def search(
    segments: Sequence[Segment],
    queries: Queries,
    neighbours: int,
    settings: IndexSettings,
    recent: RecentVectors | None = None,
    one_at_a_time: bool = False,
) -> Hits:
    """Searches all segments. Returns, for each query, the `neighbours` nearest of the issues that it allows.

    The Annoy index of a segment is used if a query allows more than `index.exact_items` of the segment's
    issues. Otherwise, or if there is no Annoy index, all allowed issues are compared. If `recent` is given,
    its copies of vectors make a search for a few queries faster. `queries.ages` must then be None.

    A search for many queries reads most of every file. If `one_at_a_time` is true, the files of a segment
    are unmapped before the next segment is searched. So the memory does not grow with the number of segments.
    """
    blocks = []
    for start in range(0, max(1, len(queries)), QUERIES_PER_BLOCK):
        block = queries.take(np.arange(start, min(start + QUERIES_PER_BLOCK, len(queries))))
        bounds = np.full(len(block), -np.inf, np.float32)
        compared, searched = list[_Compared](), list[int]()
        if recent is not None and len(block):
            for position, rows, items in _recent_candidates(recent, segments, block, neighbours, bounds):
                compared.append(_compared(position, segments[position], block, rows, items))
            searched = recent.segments_for(block.opened_since)
        for position, segment in enumerate(segments):
            if position in searched or not len(block) or not segment.items or _none_allowed(segment, block):
                continue
            rows, items = _candidates(segment, block, neighbours, settings, bounds)
            compared.append(_compared(position, segment, block, rows, items))
            if one_at_a_time:
                segment.unmap()
        blocks.append(_merged(compared, neighbours).shifted(start))
    return Hits.joined(blocks)


def _recent_candidates(
    recent: RecentVectors, segments: Sequence[Segment], queries: Queries, neighbours: int, bounds: Vectors
) -> list[tuple[int, Numbers, Numbers]]:
    """Finds candidates in the segments that `recent.segments_for` returns.

    Returns tuples like those of `RecentVectors.candidates`. The candidates of a query include its
    `neighbours` nearest allowed items in all these segments together.
    """
    candidates = recent.candidates(queries, _unit(queries.vectors), neighbours)
    if sum(len(rows) for _, rows, _ in candidates) <= MANY_CANDIDATES * len(queries):
        return candidates
    # Issues with equal texts, of which a robot may have opened thousands.
    return [
        (position, *_exact(segments[position], np.unique(items), queries, neighbours, bounds))
        for position, _, items in candidates
    ]


def search_exactly(
    items: Items,
    queries: Queries,
    neighbours: int,
    is_eligible: npt.NDArray[np.bool_] | None = None,
    cosines: Vectors | None = None,
) -> Hits:
    """Returns, for each query, the `neighbours` nearest of the items that it allows.

    Items for which `is_eligible` is false are left out. No Annoy index is used: every allowed item is
    compared. `cosines` is the result of `cosines_with`, if the caller has already computed it.
    """
    bounds = np.full(len(queries), -np.inf, np.float32)
    allowed = _allowed(items, queries, range(len(items.issue_ids)))
    if is_eligible is not None:
        allowed = allowed[is_eligible[allowed]]
    pairs = _exact(items, allowed, queries, neighbours, bounds, cosines)
    return _merged([_compared(0, items, queries, *pairs)], neighbours)


def cosines_with(items: Items, queries: Queries) -> Vectors:
    """Returns the cosine between each query and each item in single precision, shape (queries, items)."""
    return _cosines(_unit(queries.vectors), items, np.arange(len(items.issue_ids)), None)


def _candidates(
    segment: Segment, queries: Queries, neighbours: int, settings: IndexSettings, bounds: Vectors
) -> tuple[Numbers, Numbers]:
    """Searches a segment for the nearest allowed items of each query, exactly or with its Annoy index.

    Returns two arrays with the query and the item of each candidate. For `bounds`, see `_exact`.
    """
    everything = range(segment.items)
    if not segment.has_annoy:
        allowed = _allowed(segment, queries, everything)
        return _exact(segment, allowed, queries, neighbours, bounds)
    counts = _allowed_counts(segment, queries)
    rows_exact, rows_annoy = (
        np.flatnonzero(counts <= settings.exact_items),
        np.flatnonzero(counts > settings.exact_items),
    )
    pairs = []
    if len(rows_exact):
        queries_exact = queries.take(rows_exact)
        allowed, own_bounds = _allowed(segment, queries_exact, everything), bounds[rows_exact]
        rows, items = _exact(segment, allowed, queries_exact, neighbours, own_bounds)
        bounds[rows_exact] = own_bounds
        pairs.append((rows_exact[rows], items))
    if len(rows_annoy):
        rows, items = _by_annoy(
            segment, counts[rows_annoy], queries.take(rows_annoy), neighbours, settings.search_k
        )
        pairs.append((rows_annoy[rows], items))
    return _joined(pairs)


def _all_allowed(segment: Items, queries: Queries) -> bool:
    """Returns whether all issues of the segment are allowed for all queries."""
    since, ages = queries.opened_since, queries.ages
    return (since is None or segment.first_created_at >= since) and (
        ages is None
        or (
            segment.last_created_at < ages.created_at.min()
            and segment.last_source_day <= ages.source_days.min()
        )
    )


def _none_allowed(segment: Items, queries: Queries) -> bool:
    """Returns true only if it is certain that no issue of the segment is allowed for any query. Opens no file
    of the segment."""
    since, ages = queries.opened_since, queries.ages
    return (since is not None and segment.last_created_at < since) or (
        ages is not None and segment.first_created_at > ages.created_at.max()
    )


def _allowed(segment: Items, queries: Queries, items: range) -> Numbers:
    """Returns those of `items` that may be allowed for at least one query. Opens no file of the segment if
    `_all_allowed` or `_none_allowed` returns true."""
    since, ages = queries.opened_since, queries.ages
    numbers = np.arange(items.start, items.stop)
    if _all_allowed(segment, queries):
        return numbers
    if _none_allowed(segment, queries):
        return numbers[:0]
    own = slice(items.start, items.stop)
    allowed = np.ones(len(numbers), dtype=bool)
    if since is not None:
        allowed &= segment.created_at[own] >= since
    if ages is not None:
        allowed &= segment.created_at[own] <= ages.created_at.max()
        allowed &= segment.source_days[own] <= ages.source_days.max()
    return numbers[allowed]


def _allowed_counts(segment: Segment, queries: Queries) -> Numbers:
    """Returns, for each query, approximately how many items of the segment are allowed for it."""
    if _all_allowed(segment, queries):
        return np.full(len(queries), segment.items)
    allowed = _allowed(segment, queries, range(segment.items))
    if queries.ages is None:
        return np.full(len(queries), len(allowed))
    counts: Numbers = np.searchsorted(np.sort(segment.created_at[allowed]), queries.ages.created_at)
    return counts


def _exact(
    segment: Items,
    items: Numbers,
    queries: Queries,
    neighbours: int,
    bounds: Vectors,
    cosines: Vectors | None = None,
) -> tuple[Numbers, Numbers]:
    """Compares each query with its allowed items among `items`. Returns two arrays with the query and the
    item of each pair that may be among the query's `neighbours` nearest.

    `cosines` has the cosines of the queries and all items of the segment, if the caller already has them.
    `bounds` has a cosine per query: earlier comparisons have found at least `neighbours` items with this
    cosine or a higher one. The bound is -inf if no such cosine is known. Items whose cosine is lower than the
    bound need not be returned. If this search finds nearer items, it increases the values of `bounds`.
    """
    unit_queries = _unit(queries.vectors)
    ages = None if _all_allowed(segment, queries) else queries.ages
    if ages is not None:
        items = items[np.lexsort((segment.issue_ids[items], segment.created_at[items]))]
        older = _older_counts(segment.created_at[items], segment.issue_ids[items], ages)
    pairs: list[tuple[Numbers, Numbers]] = []
    for start in range(0, len(items), ITEMS_PER_BLOCK):
        block = items[start : start + ITEMS_PER_BLOCK]
        step = max(1, SCORES_PER_PRODUCT // len(block))
        vectors = _unit_vectors(segment, block) if len(queries) > step and cosines is None else None
        for first in range(0, len(queries), step):
            own = slice(first, first + step)
            if cosines is None:
                scores = _cosines(unit_queries[own], segment, block, vectors)
            else:
                scores = cosines[own, block]
            if ages is not None:
                scores[np.arange(start, start + len(block)) >= older[own, None]] = -np.inf
                if segment.last_source_day > ages.source_days[own].min():
                    scores[segment.source_days[block] > ages.source_days[own, None]] = -np.inf
            rows, columns = _highest(scores, neighbours, segment, block, bounds[first : first + step])
            pairs.append((rows + first, block[columns]))
    return _joined(pairs)


def _cosines(unit_queries: Vectors, segment: Items, items: Numbers, vectors: Vectors | None) -> Vectors:
    """Returns the cosine of each query and each item in single precision, shape (queries, items). `vectors`
    are the unit vectors of the items. If `vectors` is None, the unit vectors are computed here, for only a
    few items at a time, so that they stay in the processor's cache."""
    if vectors is not None:
        return unit_queries @ vectors.T
    cosines = np.empty((len(unit_queries), len(items)), np.float32)
    for start in range(0, len(items), VECTORS_IN_CACHE):
        own = slice(start, start + VECTORS_IN_CACHE)
        np.matmul(unit_queries, _unit_vectors(segment, items[own]).T, out=cosines[:, own])
    return cosines


def _unit_vectors(segment: Items, items: Numbers) -> Vectors:
    """Returns the vectors of the items, scaled to length 1."""
    rows = rows_of(items)
    return unit_vectors(segment.vectors[rows], segment.lengths(rows))


def _older_counts(created_at: Numbers, issue_ids: Numbers, ages: Ages) -> Numbers:
    """Returns, for each query, how many items are older than the query. The items are sorted by age."""
    first = np.searchsorted(created_at, ages.created_at, "left")
    end = np.searchsorted(created_at, ages.created_at, "right")
    bounds = zip(first.tolist(), end.tolist(), ages.issue_ids.tolist(), strict=True)
    return np.array([low + np.searchsorted(issue_ids[low:high], own) for low, high, own in bounds], np.int64)


def _highest(
    scores: Vectors, neighbours: int, segment: Items, items: Numbers, bounds: Vectors
) -> tuple[Numbers, Numbers]:
    """Returns the rows and the columns of the `neighbours` highest scores of each row.

    Scores that are nearly as high are also returned, see TIE and TIES_KEPT. Scores of -inf are left out.
    Increases the values of `bounds`, see `_exact`.
    """
    if scores.shape[1] <= neighbours:
        rows, columns = np.nonzero(scores > -np.inf)
        return rows, columns
    rows, columns, last = highest_scores(scores, neighbours, TIE, bounds)
    np.maximum(bounds, last, out=bounds)
    ends = np.cumsum(np.bincount(rows, minlength=len(scores)))
    is_kept = np.ones(len(rows), dtype=bool)
    for row in np.flatnonzero(np.diff(ends, prepend=0) > neighbours + TIES_KEPT).tolist():
        own = np.arange(ends[row - 1] if row else 0, ends[row])
        tied = own[scores[row, columns[own]] <= last[row] + TIE]
        tied_items = items[columns[tied]]
        oldest = np.lexsort((segment.issue_ids[tied_items], segment.created_at[tied_items]))
        is_kept[tied[oldest[neighbours + TIES_KEPT :]]] = False
    return rows[is_kept], columns[is_kept]


def _by_annoy(
    segment: Segment, allowed_counts: Numbers, queries: Queries, neighbours: int, search_k: int
) -> tuple[Numbers, Numbers]:
    """Searches the Annoy index for allowed items near each query. Returns two arrays with the query and the
    item of each pair.

    `allowed_counts` has the number of items that each query allows. No number may be 0. The fewer items a
    query allows, the more candidates are requested from the index.
    """
    neighbour_lists = []
    for vector, allowed in zip(queries.vectors, allowed_counts.tolist(), strict=True):
        candidate_count, nodes = neighbours, search_k
        if allowed < segment.items:
            candidate_count = min(
                segment.items, neighbours * OVERSAMPLING * math.ceil(segment.items / allowed)
            )
            nodes = max(search_k, 2 * candidate_count)
        neighbour_lists.append(segment.annoy.nearest(vector, candidate_count, nodes))
    rows = np.repeat(np.arange(len(queries)), [len(pairs) for pairs in neighbour_lists])
    items = np.array([item for pairs in neighbour_lists for item, _ in pairs], dtype=np.int64)
    is_kept = queries.allowed(rows, segment, items)
    return rows[is_kept], items[is_kept]


class _Compared(NamedTuple):
    """Pairs of a query and an item, with their exact cosines, and the item's segment, time and id."""

    positions: Numbers
    rows: Numbers
    items: Numbers
    cosines: npt.NDArray[np.float64]
    created_at: Numbers
    issue_ids: Numbers


def _compared(position: int, segment: Items, queries: Queries, rows: Numbers, items: Numbers) -> _Compared:
    cosines, positions = exact_cosines(segment, items, queries, rows), np.full(len(rows), position)
    return _Compared(positions, rows, items, cosines, segment.created_at[items], segment.issue_ids[items])


def _merged(compared: Sequence[_Compared], neighbours: int) -> Hits:
    """Returns the nearest candidates of each query, from all segments together."""
    none = np.empty(0, np.int64)
    columns = zip(_Compared(none, none, none, np.empty(0), none, none), *compared, strict=True)
    positions, rows, items, cosines, created_at, issue_ids = map(np.concatenate, columns)
    order = np.lexsort((issue_ids, created_at, -cosines, rows))
    rows = rows[order]
    is_kept = np.arange(len(rows)) - np.searchsorted(rows, rows) < neighbours
    order = order[is_kept]
    return Hits(rows[is_kept], positions[order], items[order], distances_of(cosines[order]))


def exact_cosines(segment: Items, items: Numbers, queries: Queries, rows: Numbers) -> npt.NDArray[np.float64]:
    """Returns the cosine of each of n pairs of an item and a query, in double precision, shape (n,). `items`
    has the items of the pairs, and `rows` has the positions of their queries."""
    cosines = np.empty(len(items))
    for start in range(0, len(items), PAIRS_PER_BLOCK):
        block = slice(start, start + PAIRS_PER_BLOCK)
        vectors = segment.vectors[items[block]].astype(np.float64)
        own = queries.vectors[rows[block]].astype(np.float64)
        lengths = np.sqrt(_products(vectors, vectors) * _products(own, own))
        cosines[block] = _products(vectors, own) / lengths
    return cosines.round(DECIMALS)


def _products(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the dot product of each vector and the vector in the same row of the other array. Unlike a
    matrix product, it adds up each row by itself, so a result does not depend on the other rows."""
    products: npt.NDArray[np.float64] = np.einsum("ij,ij->i", left, right)
    return products


def distances_of(cosines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Converts cosines to angular distances: sqrt(2 (1 - cosine)), from 0 to 2."""
    distances: npt.NDArray[np.float64] = np.sqrt(np.maximum(0, 2 - 2 * cosines))
    return distances


def _unit(vectors: Vectors) -> Vectors:
    """Returns the vectors, scaled to length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _joined(pairs: Sequence[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    if not pairs:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([rows for rows, _ in pairs]), np.concatenate([items for _, items in pairs])
