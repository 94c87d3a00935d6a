"""Stores the neighbours of each issue of a release: the most similar older issues, in two lists.

The neighbours of a day's issues depend on these things only, which are in the key of the day's batch of
similar_issues_v2:

- the embeddings and the duplicate openings of the day, and of the days before it that are in the release, as
  far as `similar.recompute_days` reaches back
- the number of neighbours per list, the distance of near-duplicates, and how many months the search of all
  repositories looks back
- the versions of the ordering, which estimates the probabilities, and of the terms, which it compares

`similar.min_probability` is not among them: whether a neighbour is suggested is decided when it is shown.

The search also finds issues of earlier days, as the release has them when the batch is made. If such a day is
ingested later or again, the batch stays as it is. Its figures say how many days and issues were searched:
those of the months that the search of all repositories looks back, and all, because the search of the issue's
own repository looks back over everything. So a release can count the days that were searched among other
issues than it has.
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

from pipeline.compute.new_batches import NewBatch, Part
from pipeline.contracts import SIMILAR_ISSUES
from pipeline.index.neighbour_rows import find_lists, neighbour_rows
from pipeline.index.ordering import DEFAULT_ORDERING
from pipeline.index.queries import months_before
from pipeline.index.release_days import EmbeddingMatrix, IndexedDay, read_items
from pipeline.index.segment import Segment
from pipeline.index.segment_terms import TERMS_VERSION
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.settings import Index

ISSUES_PER_TASK = 50_000
"""Largest number of issues of several days whose neighbours are searched together."""
ISSUES_PER_SHARD = 4096
"""Largest number of issues of a shard. A day with more issues is divided into shards, one per task. Another
number would give such a day other words that are counted together, so other neighbours."""
HISTORY_DAYS, HISTORY_ISSUES = "history_days", "history_issues"
"""Figures of a day's batch: how many days and issues were searched in all repositories, those of the day
included."""
ALL_DAYS, ALL_ISSUES = "all_days", "all_issues"
"""Figures of a day's batch: how many days and issues the release had up to the day. The issue's own
repository is searched in all of them."""


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

    @property
    def shards(self) -> int:
        """The number of shards that the day is divided into."""
        return max(1, -(-self.day.issue_count // ISSUES_PER_SHARD))


@dataclass(frozen=True)
class NeighbourShard:
    """One of the shards of a large day: that with the number `number`, from 0, of `shards`."""

    day: NeighbourDay
    number: int
    shards: int


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
                tuple(digest for each in window for digest in (each.issues.digest, each.embeddings.digest)),
                {
                    "neighbours": parameters.neighbours,
                    "near_duplicate_distance": parameters.near_duplicate_distance,
                    "months": parameters.months,
                    "ordering": DEFAULT_ORDERING.version,
                    "terms": TERMS_VERSION,
                    "superseded": {each.day: list(each.superseded) for each in window if each.superseded},
                },
                {
                    HISTORY_DAYS: position + 1 - int(start),
                    HISTORY_ISSUES: int(issues[position + 1] - issues[start]),
                    ALL_DAYS: position + 1,
                    ALL_ISSUES: int(issues[position + 1]),
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
    """Finds the neighbours of some days of one month, and writes one batch of similar_issues_v2 per day.

    `owner` is the model that trained the embedding network, `size` the length of a vector, and `segments` are
    all segments of the release.
    """
    issues, vectors = read_items(lake, [day.day for day in days], size, with_bodies=True)
    rows = _rows_of(issues, vectors, days[0], lake, segments, settings)
    manifests = []
    for day in days:
        draft = lake.draft(SIMILAR_ISSUES.name, day.partition(owner), day.inputs, day.parameters)
        own = rows.filter(pc.equal(rows.column("day"), date.fromisoformat(day.day.day)))
        draft.write_table("part-00000.parquet", own.drop_columns("day"), SIMILAR_ISSUES)
        manifests.append(draft.commit(day.figures))
    return manifests


def batch_in_shards(day: NeighbourDay, owner: str) -> NewBatch:
    """Returns the batch of similar_issues_v2 of a large day, with one file per shard."""
    shards = [NeighbourShard(day, number, day.shards) for number in range(day.shards)]
    parts = [Part(f"part-{shard.number:05}.parquet", shard) for shard in shards]
    return NewBatch(day.partition(owner), day.inputs, day.parameters, tuple(parts), day.figures)


def neighbours_of_shard(
    shard: NeighbourShard, lake: Lake, size: int, segments: Sequence[Manifest], settings: Index
) -> pa.Table:
    """Returns the rows of similar_issues_v2 of a shard: of consecutive issues of a day. `size` is the length
    of a vector, and `segments` are all segments of the release."""
    day = shard.day
    issues, vectors = read_items(lake, [day.day], size, with_bodies=True)
    bounds = np.linspace(0, len(issues), shard.shards + 1).astype(int).tolist()
    own = slice(bounds[shard.number], bounds[shard.number + 1])
    issues, vectors = issues.slice(own.start, own.stop - own.start), vectors[own]
    return _rows_of(issues, vectors, day, lake, segments, settings).drop_columns("day")


def _rows_of(
    issues: pa.Table,
    vectors: EmbeddingMatrix,
    day: NeighbourDay,
    lake: Lake,
    segments: Sequence[Manifest],
    settings: Index,
) -> pa.Table:
    """Returns the rows of similar_issues_v2 of some issues, and their source day. `day` is any of the days,
    which are of one month."""
    opened = [Segment.of_batch(lake, manifest) for manifest in segments]
    since = months_before(day.day.day, day.parameters["months"])
    lists = find_lists(opened, issues, vectors, since, day.parameters["neighbours"], settings)
    return neighbour_rows(issues, opened, lists, day.parameters["near_duplicate_distance"])


def days_with_other_history(days: Sequence[NeighbourDay], manifests: Sequence[Manifest]) -> int:
    """Returns the number of days whose neighbours were searched among other issues than the release has.
    Batches of an earlier version of Titler lack some of the figures; these do not count."""
    return sum(
        any(manifest.figures.get(name, value) != value for name, value in day.figures.items())
        for day, manifest in zip(days, manifests, strict=True)
    )
