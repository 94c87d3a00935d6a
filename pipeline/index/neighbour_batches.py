"""Makes one batch of similar_issues_v2 and one of duplicate_pairs_v1 for each day of a release.

A day's issues are divided into shards, in order. Most days have only one shard. A Dask task finds the
neighbours (similar older issues) of the issues in one shard of a large day, or in several small days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.cluster import map_shards
from pipeline.contracts import DUPLICATE_PAIRS, SIMILAR_ISSUES, Table
from pipeline.index.duplicate_pairs import pair_rows
from pipeline.index.neighbour_rows import find_lists, neighbour_rows
from pipeline.index.neighbours import NeighbourDay
from pipeline.index.ordering import DEFAULT_ORDERING, Ordering
from pipeline.index.queries import months_before
from pipeline.index.release_days import EmbeddingMatrix, read_items
from pipeline.index.segment import Segment
from pipeline.lake.batches import Lake
from pipeline.lake.finished_parts import FinishedPart, FinishedParts
from pipeline.lake.manifest import Manifest
from pipeline.settings import Index, Settings

ISSUES_PER_TASK = 50_000
"""Largest number of issues of several days whose neighbours are searched together."""
ISSUES_PER_SHARD = 4096
"""Largest number of issues of a shard. Changing this number changes the neighbours of large days: word
frequencies are counted per shard."""
ISSUES_WORTH_A_CLUSTER = 10_000
"""If the neighbours of more issues than this are to be found, a local Dask cluster saves time."""


@dataclass(frozen=True)
class Shard:
    """Some consecutive issues of a day. The day's issues are divided into `shards` parts of about the same
    size. `number` is the number of this part, from 0.

    The rows of a shard are written to one file in each of the day's two batches. `similar` and `pairs` record
    which files of these batches are finished.
    """

    day: NeighbourDay
    number: int
    shards: int
    similar: FinishedParts
    pairs: FinishedParts

    @property
    def file(self) -> str:
        """The name of the shard's file, in both batches."""
        return f"part-{self.number:05}.parquet"

    @property
    def issue_count(self) -> int:
        """The approximate number of issues of the shard: the true number may be smaller by one."""
        return -(-self.day.day.issue_count // self.shards)

    def rows_of_day(self, issues: int) -> slice:
        """Returns the positions of the shard's issues among the day's issues. `issues` is the number of the
        day's issues."""
        bounds = np.linspace(0, issues, self.shards + 1).astype(int).tolist()
        return slice(bounds[self.number], bounds[self.number + 1])


@dataclass(frozen=True)
class ShardFiles:
    """The finished files of a shard: one of similar_issues_v2 and one of duplicate_pairs_v1."""

    similar: FinishedPart
    pairs: FinishedPart


class DayDrafts:
    """A day's two drafts (batches that are being written): of similar_issues_v2 and duplicate_pairs_v1."""

    def __init__(self, lake: Lake, day: NeighbourDay, owner: str) -> None:
        """`owner` is the model that trained the embedding network."""
        partition = day.partition(owner)
        self.day = day
        self.similar = lake.draft(SIMILAR_ISSUES.name, partition, day.inputs, day.parameters)
        self.pairs = lake.draft(DUPLICATE_PAIRS.name, partition, day.inputs, day.pair_parameters)
        count = max(1, -(-day.day.issue_count // ISSUES_PER_SHARD))
        finished = FinishedParts.of(self.similar), FinishedParts.of(self.pairs)
        self.shards = [Shard(day, number, count, *finished) for number in range(count)]

    def add(self, files: ShardFiles) -> tuple[Manifest, Manifest] | None:
        """Adds the files of a shard. If the two batches are now complete, commits them and returns their
        manifests."""
        self.similar.files.append(files.similar.file)
        self.pairs.files.append(files.pairs.file)
        if len(self.similar.files) < len(self.shards):
            return None
        batches = self.similar.commit(self.day.figures), self.pairs.commit(self.day.figures)
        if len(self.shards) > 1:
            for batch in (self.shards[0].similar, self.shards[0].pairs):
                batch.forget(shard.file for shard in self.shards)
        return batches


def make_neighbours(
    lake: Lake,
    owner: str,
    size: int,
    days: Sequence[NeighbourDay],
    segments: Sequence[Manifest],
    settings: Settings,
    ordering: Ordering = DEFAULT_ORDERING,
) -> list[tuple[Manifest, Manifest]]:
    """Finds the neighbours (similar older issues) of the issues of some days, and stores them.

    Returns two new batches per day, in the order of the days: one of similar_issues_v2 and one of
    duplicate_pairs_v1. `owner` is the model that trained the embedding network. `size` is the length of a
    vector. `segments` are all segments of the release. `ordering` must have the version that is in the
    parameters of the days.

    The two batches of a day are committed as soon as all shards of the day are searched. If a worker is
    killed, only its unfinished tasks are lost. If the command is killed, all unfinished tasks are lost. A
    finished shard of a large day is kept, but a small day is lost if its batches were not yet committed.
    """
    drafts = lake.for_each(lambda day: DayDrafts(lake, day, owner), days)
    tasks = group_shards([shard for draft in drafts for shard in draft.shards])
    by_day = {draft.day.day.day: draft for draft in drafts}
    batches: dict[str, tuple[Manifest, Manifest]] = {}

    def add_files(number: int, files: list[ShardFiles]) -> None:
        for shard, files_of_shard in zip(tasks[number], files, strict=True):
            name = shard.day.day.day
            if complete := by_day[name].add(files_of_shard):
                batches[name] = complete

    map_shards(
        search_shards,
        tasks,
        lake,
        size,
        list(segments),
        settings.index,
        ordering,
        label="neighbours",
        compute=settings.compute,
        worth_a_cluster=sum(day.day.issue_count for day in days) > ISSUES_WORTH_A_CLUSTER,
        on_result=add_files,
        partitions=[{"day": _days_of(task)} for task in tasks],
    )
    return [batches[name] for name in by_day]


def _days_of(shards: Sequence[Shard]) -> str:
    """Returns the days that the shards belong to: one day, or the first and the last."""
    days = sorted({shard.day.day.day for shard in shards})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def group_shards(shards: Sequence[Shard]) -> list[tuple[Shard, ...]]:
    """Groups shards into tasks. A shard of a large day is a task of its own.

    Days with only one shard are searched together if they are in the same month, because the search of all
    repositories goes back to the same date for all days of a month. A task has up to ISSUES_PER_TASK issues.
    """
    groups: list[tuple[Shard, ...]] = []
    for (_, is_small), of_month in groupby(shards, key=lambda each: (each.day.day.day[:7], each.shards == 1)):
        group: list[Shard] = []
        for shard in of_month:
            if group and (
                not is_small or sum(each.issue_count for each in [*group, shard]) > ISSUES_PER_TASK
            ):
                groups.append(tuple(group))
                group = []
            group.append(shard)
        groups.append(tuple(group))
    return groups


def search_shards(
    shards: Sequence[Shard],
    lake: Lake,
    size: int,
    segments: Sequence[Manifest],
    settings: Index,
    ordering: Ordering,
) -> list[ShardFiles]:
    """Finds the neighbours (similar older issues) of the issues in some shards, and writes their files.

    All shards are of the same month. If an interrupted command has already written the files of a large day's
    shard, these files are used, and nothing is searched.
    """
    if finished := _finished_files(shards):
        return finished
    items = [_read_shard(shard, lake, size) for shard in shards]
    issues = pa.concat_tables([issues for issues, _ in items]).combine_chunks()
    vectors = np.concatenate([vectors for _, vectors in items])
    opened = [Segment.of_batch(lake, manifest) for manifest in segments]
    day = shards[0].day
    since = months_before(day.day.day, day.parameters["months"])
    lists = find_lists(opened, issues, vectors, since, day.parameters["neighbours"], settings, ordering)
    similar = neighbour_rows(issues, opened, lists, day.parameters["near_duplicate_distance"])
    pairs = pair_rows(issues, opened, lists.pairs)
    return [
        ShardFiles(
            _write(lake, shard, shard.similar, similar, SIMILAR_ISSUES),
            _write(lake, shard, shard.pairs, pairs, DUPLICATE_PAIRS),
        )
        for shard in shards
    ]


def _read_shard(shard: Shard, lake: Lake, size: int) -> tuple[pa.Table, EmbeddingMatrix]:
    issues, vectors = read_items(lake, [shard.day.day], size, with_bodies=True)
    own = shard.rows_of_day(len(issues))
    return issues.slice(own.start, own.stop - own.start), vectors[own]


def _finished_files(shards: Sequence[Shard]) -> list[ShardFiles] | None:
    """If `shards` is one shard of a large day, and both of its files are finished, returns the files.
    Otherwise returns None. The finished files of small days are not recorded, so the result for small days is
    always None."""
    (shard, *further_shards) = shards
    if further_shards or shard.shards == 1:
        return None
    similar, pairs = shard.similar.take(shard.file), shard.pairs.take(shard.file)
    return [ShardFiles(similar, pairs)] if similar and pairs else None


def _write(lake: Lake, shard: Shard, batch: FinishedParts, rows: pa.Table, contract: Table) -> FinishedPart:
    """Writes the rows of a shard to its file. `rows` may also have rows of other days, which are not
    written."""
    own = rows.filter(pc.equal(rows.column("day"), date.fromisoformat(shard.day.day.day)))
    file = lake.write_table(batch.folder, shard.file, own.drop_columns("day"), contract)
    finished_part = FinishedPart(file, {})
    if shard.shards > 1:
        batch.add(finished_part)
    return finished_part
