"""Makes rows from the hits of a search, such as the rows of a list of similar issues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.contracts import SEGMENTS
from pipeline.index.comparison import TEXTS, Listed
from pipeline.index.queries import Hits
from pipeline.index.segment import Segment

REASONS = ("probability", "title_overlap", "age_days", "similar_text", "group_size", "terms")
"""The keys of a row that say how probable a duplicate is, and why."""
SHOWN = ["issue_url", "title"]
"""The columns that a list shows of an issue."""


def rows_with_reasons(name: str, segments: Sequence[Segment], listed: Listed) -> list[dict[str, Any]]:
    """Returns the rows of the list `name`, each with the probability of a duplicate and the reasons for it.

    `name` is "repository" or "everywhere". `SegmentedIndex.similar` describes the keys of a row.
    """
    hits = Hits(np.zeros(len(listed), np.int64), listed.segments, listed.items, listed.distances)
    reasons = zip(
        listed.probabilities.tolist(),
        listed.title_overlaps.tolist(),
        np.floor(listed.ages_in_days).astype(np.int64).tolist(),
        [TEXTS[text] for text in listed.texts.tolist()],
        listed.group_sizes.tolist(),
        [[term for term in terms if term] for terms in listed.terms.tolist()],
        strict=True,
    )
    return [
        {"list": name, **row, **dict(zip(REASONS, values, strict=True))}
        for row, values in zip(rows_with_distances(segments, hits, SHOWN), reasons, strict=True)
    ]


def rows_with_distances(segments: Sequence[Segment], hits: Hits, columns: list[str]) -> list[dict[str, Any]]:
    """Returns one row (a dict) per entry of `hits`.

    The keys of a row are `distance` and the names in `columns`, which are columns of segments_v1.
    """
    entries = zip(hits.segments.tolist(), hits.items.tolist(), hits.distances.tolist(), strict=True)
    return [
        {**segments[position].row(item, columns), "distance": distance}
        for position, item, distance in entries
    ]


def rows_without_reasons(
    name: str, rows: list[dict[str, Any]], own_id: int, count: int
) -> list[dict[str, Any]]:
    """Returns the first `count` rows of the list `name`, for an index that has no probabilities.

    `SegmentedIndex.similar` describes the keys of a row. `rows` have the keys `issue_id`, `issue_url`,
    `title` and `distance`. The row of the issue `own_id` itself is left out.
    """
    similar_rows = [row for row in rows if row["issue_id"] != own_id][:count]
    return [{"list": name, **_without_id(row), **dict.fromkeys(REASONS)} for row in similar_rows]


def _without_id(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "issue_id"}


def hit_rows(segments: Sequence[Segment], hits: Hits, columns: list[str]) -> pa.Table:
    """Returns one row of segments_v1 per entry of `hits`, in the same order. Each row is read only once."""
    tables, places = [], np.empty(len(hits), dtype=np.int64)
    read = 0
    for position in np.unique(hits.segments).tolist():
        own = np.flatnonzero(hits.segments == position)
        items, inverse = np.unique(hits.items[own], return_inverse=True)
        tables.append(segments[position].rows(items, columns))
        places[own] = inverse + read
        read += len(items)
    if not tables:
        return SEGMENTS.empty().select(columns)
    return pa.concat_tables(tables).combine_chunks().take(pa.array(places))
