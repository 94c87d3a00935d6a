"""Finds the neighbours that a release stores for each issue: the most similar older issues.

The neighbours of a day's issues depend on these things only, which are in the key of the day's batch of
similar_issues_v1:

- the embeddings and the duplicate openings of the day, and of the days before it that are in the release, as
  far as `similar.recompute_days` reaches back
- the number of neighbours, the distance of near-duplicates, and how many months the search looks back

The search also finds issues of earlier days, as the release has them when the batch is made. If such a day is
ingested later or again, the batch stays as it is. Its figures say how many days and issues were searched, so
a release can count the days that were searched among other issues than it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import SIMILAR_ISSUES
from pipeline.index.release_days import IndexedDay, read_items
from pipeline.index.segment import Segment, days_since_1970, microseconds
from pipeline.index.segment_search import Ages, Hits, Queries, hit_rows, months_before, search
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Index

ISSUES_PER_TASK = 50_000
"""Largest number of issues whose neighbours are searched together. One day may have more."""
HISTORY_DAYS, HISTORY_ISSUES = "history_days", "history_issues"
"""Figures of a day's batch: how many days and issues were searched, those of the day included."""


@dataclass(frozen=True)
class SearchParameters:
    """What the neighbours of a release depend on, besides its issues: `neighbours` per issue, the angular
    distance below which an issue is a near-duplicate, and the months that the search looks back."""

    neighbours: int
    near_duplicate_distance: float
    months: int


@dataclass(frozen=True)
class NeighbourDay:
    """A day whose neighbours a release needs. `inputs` and `parameters` form the key of the day's batch, and
    `figures` say in which history they are searched."""

    day: IndexedDay
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    figures: dict[str, int]

    def partition(self, owner: str) -> dict[str, str]:
        """The partition of the day's batch. `owner` is the model that trained the embedding network."""
        return {"model": owner, "day": self.day.day}


def plan_neighbours(
    days: Sequence[IndexedDay], parameters: SearchParameters, recompute_days: int
) -> list[NeighbourDay]:
    """Returns what the neighbours of each day depend on. `days` are all days of the release, in order."""
    names = [day.day for day in days]
    ordinals = np.array([date.fromisoformat(name).toordinal() for name in names], dtype=np.int64)
    window_starts = np.searchsorted(ordinals, ordinals - recompute_days)
    epoch = date(1970, 1, 1)
    oldest = [str(epoch + timedelta(microseconds=months_before(name, parameters.months))) for name in names]
    history_starts = np.searchsorted(np.array(names), np.array(oldest))
    issues = np.concatenate([[0], np.cumsum([day.issue_count for day in days])])
    planned = []
    for position, day in enumerate(days):
        window = days[window_starts[position] : position + 1]
        start = history_starts[position]
        planned.append(
            NeighbourDay(
                day,
                tuple(each.embeddings.digest for each in window),
                {
                    "neighbours": parameters.neighbours,
                    "near_duplicate_distance": parameters.near_duplicate_distance,
                    "months": parameters.months,
                    "superseded": {each.day: list(each.superseded) for each in window if each.superseded},
                },
                {
                    HISTORY_DAYS: position + 1 - int(start),
                    HISTORY_ISSUES: int(issues[position + 1] - issues[start]),
                },
            )
        )
    return planned


def group_days(days: Sequence[NeighbourDay]) -> list[tuple[NeighbourDay, ...]]:
    """Splits days into groups that are searched together. The days of a group are of one month, so they look
    back equally far."""
    groups: list[tuple[NeighbourDay, ...]] = []
    for _, of_month in groupby(days, key=lambda day: day.day.day[:7]):
        group: list[NeighbourDay] = []
        for day in of_month:
            if group and sum(each.day.issue_count for each in [*group, day]) > ISSUES_PER_TASK:
                groups.append(tuple(group))
                group = []
            group.append(day)
        groups.append(tuple(group))
    return groups


def store_neighbours(
    days: Sequence[NeighbourDay],
    lake: Lake,
    owner: str,
    size: int,
    segments: Sequence[Manifest],
    settings: Index,
) -> list[Manifest]:
    """Searches the neighbours of some days of one month, and writes one batch of similar_issues_v1 per day.

    `owner` is the model that trained the embedding network, `size` the length of a vector, and `segments` are
    all segments of the release.
    """
    parameters = days[0].parameters
    issues, vectors = read_items(lake, [day.day for day in days], size)
    ages = Ages(
        microseconds(issues.column("created_at")),
        issues.column("issue_id").to_numpy(),
        days_since_1970(issues.column("day")),
    )
    since = months_before(days[0].day.day, parameters["months"])
    queries = Queries(vectors.astype(np.float32), since, ages)
    opened = [Segment.of_batch(lake, manifest) for manifest in segments]
    hits = search(opened, queries, parameters["neighbours"], settings)
    rows = neighbour_rows(issues, opened, hits, parameters["near_duplicate_distance"])
    manifests = []
    of_day = np.array([str(day) for day in issues.column("day").to_pylist()])[hits.queries]
    for day in days:
        draft = lake.draft(SIMILAR_ISSUES.name, day.partition(owner), day.inputs, day.parameters)
        own = rows.filter(pa.array(of_day == day.day.day))
        draft.write_table("part-00000.parquet", own, SIMILAR_ISSUES)
        manifests.append(draft.commit(day.figures))
    return manifests


def neighbour_rows(
    issues: pa.Table, segments: Sequence[Segment], hits: Hits, near_duplicate_distance: float
) -> pa.Table:
    """Returns the rows of similar_issues_v1 for the neighbours that a search found. The queries of `hits` are
    rows of `issues`.

    A neighbour is marked as a near-duplicate if its angular distance is below `near_duplicate_distance`.
    """
    own = issues.take(pa.array(hits.queries))
    similar = hit_rows(segments, hits, ["issue_id", "issue_url", "title", "repo"])
    return pa.table(
        {
            "issue_id": own.column("issue_id"),
            "issue_url": own.column("issue_url"),
            "rank": hits.ranks + 1,
            "similar_issue_id": similar.column("issue_id"),
            "similar_issue_url": similar.column("issue_url"),
            "similar_title": similar.column("title"),
            "distance": hits.distances,
            "same_repo": pc.equal(own.column("repo"), similar.column("repo")),
            "near_duplicate": hits.distances < near_duplicate_distance,
        }
    )


def days_with_other_history(days: Sequence[NeighbourDay], manifests: Sequence[Manifest]) -> int:
    """Returns the number of days whose neighbours were searched among other issues than the release has."""
    return sum(
        any(manifest.figures.get(name) != value for name, value in day.figures.items())
        for day, manifest in zip(days, manifests, strict=True)
    )
