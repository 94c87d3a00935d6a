"""Stores the neighbours of each issue of a release: the most similar older issues, in two lists.

The key of a day's batch of similar_issues_v2 says what the neighbours of the day's issues depend on:

- the embeddings and the duplicate openings of the day, and of those of the last `similar.recompute_days` days
  before it that are in the release
- the number of neighbours per list, the distance of near-duplicates, and how many months the search of all
  repositories looks back
- the versions of the ordering, which estimates the probabilities, and of the terms, which it compares

A day keeps its ordering if another ordering is learned later. It gets the new ordering when it is searched
again for another reason, or when a new version of Titler changes what an ordering compares.

The key does not contain `similar.min_probability`: whether a neighbour is suggested is decided when it is
shown.

The search also finds issues of earlier days, as the release has them when the batch is made. If such a day is
ingested later or again, the batch stays as it is. Its figures say how many days and issues were searched. One
pair of figures counts the months that the search of all repositories covers. The other pair counts all
earlier days, which the search of the issue's own repository covers. With these figures, a release can count
the days whose search covered other issues than the release has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.new_batches import NewBatch, Part
from pipeline.contracts import DUPLICATE_PAIRS, SIMILAR_ISSUES, Table
from pipeline.errors import LakeError
from pipeline.index.duplicate_pairs import PAIR_PROBABILITY, pair_rows
from pipeline.index.neighbour_rows import find_lists, neighbour_rows
from pipeline.index.ordering import DEFAULT_ORDERING, Ordering
from pipeline.index.queries import months_before
from pipeline.index.release_days import EmbeddingMatrix, IndexedDay, read_items
from pipeline.index.segment import Segment
from pipeline.index.segment_terms import TERMS_VERSION
from pipeline.index.stored_orderings import is_of_this_version
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft
from pipeline.lake.finished_parts import FinishedPart, FinishedParts
from pipeline.lake.manifest import Manifest
from pipeline.settings import Index

ISSUES_PER_TASK = 50_000
"""Largest number of issues of several days whose neighbours are searched together."""
ISSUES_PER_SHARD = 4096
"""Largest number of issues of a shard. A day with more issues is divided into shards, one per task. Changing
this number changes the neighbours of large days: word frequencies are counted per shard."""
HISTORY_DAYS, HISTORY_ISSUES = "history_days", "history_issues"
"""Figures of a day's batch: how many days and issues the search of all repositories covered, including the
day itself."""
ALL_DAYS, ALL_ISSUES = "all_days", "all_issues"
"""Figures of a day's batch: how many days and issues the release had up to the day. The search of the issue's
own repository covered all of them."""


@dataclass(frozen=True)
class SearchParameters:
    """What the neighbours of a release depend on, besides its issues: the number of `neighbours` per issue,
    the angular distance below which an issue is a near-duplicate, the number of months that the search looks
    back, and the version of the ordering."""

    neighbours: int
    near_duplicate_distance: float
    months: int
    ordering: str = DEFAULT_ORDERING.version


@dataclass(frozen=True)
class NeighbourDay:
    """A day whose neighbours a release needs. `inputs` and `parameters` form the key of the day's batch of
    similar_issues_v2, and `figures` say how many earlier days and issues are searched."""

    day: IndexedDay
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    figures: dict[str, int]

    @property
    def pair_parameters(self) -> dict[str, Any]:
        """The parameters of the day's batch of duplicate_pairs_v1."""
        return {**self.parameters, "pair_probability": PAIR_PROBABILITY}

    def with_ordering(self, version: str) -> NeighbourDay:
        """Returns the same day, with neighbours in another order."""
        return replace(self, parameters={**self.parameters, "ordering": version})

    def partition(self, owner: str) -> dict[str, str]:
        """The partition of the day's batches. `owner` is the model that trained the embedding network."""
        return {"model": owner, "day": self.day.day}

    @property
    def shards(self) -> int:
        """The number of shards that the day is divided into."""
        return max(1, -(-self.day.issue_count // ISSUES_PER_SHARD))


@dataclass(frozen=True)
class NeighbourShard:
    """One of the shards of a large day. `number` counts from 0, and `shards` is the number of shards. `pairs`
    has the records of the finished files of the day's batch of duplicate_pairs_v1."""

    day: NeighbourDay
    number: int
    shards: int
    pairs: FinishedParts

    @property
    def file(self) -> str:
        """The name of the shard's file, in both batches of the day."""
        return f"part-{self.number:05}.parquet"


def plan_neighbours(
    days: Sequence[IndexedDay],
    parameters: SearchParameters,
    recompute_days: int,
    earlier_orderings: Mapping[str, str] = MappingProxyType({}),
) -> list[NeighbourDay]:
    """Returns what the neighbours of each day depend on. `days` are all days of the release, in order.
    `earlier_orderings` maps each day that keeps an earlier ordering to the version of this ordering."""
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
                    "ordering": earlier_orderings.get(day.day, parameters.ordering),
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


def earlier_orderings(batches: Iterable[Manifest]) -> dict[str, str]:
    """Maps each day to the version of the ordering of its batch. Leaves out versions that this version of
    Titler cannot use, because the features of pairs or the default weights have changed since. `batches` are
    the batches of the previous release."""
    versions = {batch.day: str(batch.parameters.get("ordering")) for batch in batches}
    return {day: version for day, version in versions.items() if is_of_this_version(version)}


def group_days(days: Sequence[NeighbourDay]) -> list[tuple[NeighbourDay, ...]]:
    """Splits days into groups that are searched together. The days of a group are of one month, so their
    searches look back to the same time."""
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
    ordering: Ordering = DEFAULT_ORDERING,
) -> list[tuple[Manifest, Manifest]]:
    """Finds the neighbours of some days of one month, and writes one batch of similar_issues_v2 and one of
    duplicate_pairs_v1 per day.

    `owner` is the model that trained the embedding network, `size` the length of a vector, and `segments` are
    all segments of the release. `ordering` is the ordering whose version is in the parameters of the days.
    """
    issues, vectors = read_items(lake, [day.day for day in days], size, with_bodies=True)
    rows, pairs = _rows_of(issues, vectors, days[0], lake, segments, settings, ordering)
    return [
        (
            _store(lake, SIMILAR_ISSUES, day, owner, day.parameters, rows),
            _store(lake, DUPLICATE_PAIRS, day, owner, day.pair_parameters, pairs),
        )
        for day in days
    ]


def _store(
    lake: Lake, table: Table, day: NeighbourDay, owner: str, parameters: dict[str, Any], rows: pa.Table
) -> Manifest:
    """Writes the batch of a day. `rows` may also contain the rows of other days."""
    draft = lake.draft(table.name, day.partition(owner), day.inputs, parameters)
    own = rows.filter(pc.equal(rows.column("day"), date.fromisoformat(day.day.day)))
    draft.write_table("part-00000.parquet", own.drop_columns("day"), table)
    return draft.commit(day.figures)


def draft_of_pairs(lake: Lake, day: NeighbourDay, owner: str) -> Draft:
    """Returns a draft of the day's batch of duplicate_pairs_v1."""
    return lake.draft(DUPLICATE_PAIRS.name, day.partition(owner), day.inputs, day.pair_parameters)


def batch_in_shards(day: NeighbourDay, owner: str, pairs: Draft) -> NewBatch:
    """Returns the batch of similar_issues_v2 of a large day, with one file per shard. The tasks that write
    these files also write the files of the batch `pairs`."""
    finished = FinishedParts.of(pairs)
    shards = [NeighbourShard(day, number, day.shards, finished) for number in range(day.shards)]
    parts = tuple(Part(shard.file, shard) for shard in shards)
    return NewBatch(day.partition(owner), day.inputs, day.parameters, parts, day.figures)


def neighbours_of_shard(
    shard: NeighbourShard,
    lake: Lake,
    size: int,
    segments: Sequence[Manifest],
    settings: Index,
    ordering: Ordering,
) -> pa.Table:
    """Returns the rows of similar_issues_v2 of a shard, which is a run of consecutive issues of a day. `size`
    is the length of a vector, and `segments` are all segments of the release.

    Writes the shard's file of duplicate_pairs_v1 before it returns. So if the shard's rows are in the lake,
    its pairs are, too.
    """
    day = shard.day
    issues, vectors = read_items(lake, [day.day], size, with_bodies=True)
    bounds = np.linspace(0, len(issues), shard.shards + 1).astype(int).tolist()
    own = slice(bounds[shard.number], bounds[shard.number + 1])
    issues, vectors = issues.slice(own.start, own.stop - own.start), vectors[own]
    rows, pairs = _rows_of(issues, vectors, day, lake, segments, settings, ordering)
    file = lake.write_table(shard.pairs.folder, shard.file, pairs.drop_columns("day"), DUPLICATE_PAIRS)
    shard.pairs.add(FinishedPart(file, {}))
    return rows.drop_columns("day")


def commit_pairs(draft: Draft, similar: Manifest) -> Manifest:
    """Finishes a day's batch of duplicate_pairs_v1. Its files were written together with the files of the
    batch `similar`, which is the day's batch of similar_issues_v2. Raises LakeError if a file is missing or
    damaged."""
    manifest = commit_finished_pairs(draft, similar)
    if manifest is None:
        raise LakeError(f"A file of {draft.folder} is missing or damaged.", "Run the same command again.")
    return manifest


def commit_finished_pairs(draft: Draft, similar: Manifest) -> Manifest | None:
    """Finishes the batch like `commit_pairs`, but returns None if a file is missing or damaged. If a command
    was killed after it had stored the batch `similar`, this finishes the day without another search."""
    finished = FinishedParts.of(draft)
    finished_parts = [finished.take(file.name) for file in similar.files]
    draft.files.extend(finished_part.file for finished_part in finished_parts if finished_part)
    if len(draft.files) < len(finished_parts):
        return None
    manifest = draft.commit(similar.figures)
    finished.forget(file.name for file in similar.files)
    return manifest


def _rows_of(
    issues: pa.Table,
    vectors: EmbeddingMatrix,
    day: NeighbourDay,
    lake: Lake,
    segments: Sequence[Manifest],
    settings: Index,
    ordering: Ordering,
) -> tuple[pa.Table, pa.Table]:
    """Returns the rows of similar_issues_v2 and of duplicate_pairs_v1 for some issues, each row with its
    source day. `day` is any of the issues' days, which are of one month."""
    opened = [Segment.of_batch(lake, manifest) for manifest in segments]
    since = months_before(day.day.day, day.parameters["months"])
    lists = find_lists(opened, issues, vectors, since, day.parameters["neighbours"], settings, ordering)
    rows = neighbour_rows(issues, opened, lists, day.parameters["near_duplicate_distance"])
    return rows, pair_rows(issues, opened, lists.pairs)


def days_with_other_history(days: Sequence[NeighbourDay], manifests: Sequence[Manifest]) -> int:
    """Returns the number of days whose neighbours were searched among other issues than the release has. If a
    batch lacks a figure, because an earlier version of Titler made it, this figure is not compared."""
    return sum(
        any(manifest.figures.get(name, value) != value for name, value in day.figures.items())
        for day, manifest in zip(days, manifests, strict=True)
    )
