"""The stages, in the order of the data's way.

extract clean | vocab vectorize train evaluate promote | plan vectorize embed predict index publish collect.

Each is a pure function over one shard (Arrow table in, Arrow table out) and a short driver around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.compute.cluster import map_shards
from pipeline.contracts import Table
from pipeline.lake.batches import Draft, File, Lake, Manifest
from pipeline.settings import Compute

ROWS_WORTH_A_CLUSTER = 100_000  # a cluster starts in the time that one process takes for about half as many


@dataclass(frozen=True)
class Outcome:
    """The batches a stage answers with, in the order of the days, and how many of them it made just now.

    `kept`: the days that `extract` leaves as they were, for the source has less of them now; what is left of each.
    `sources` are those that `map_batches` made them of, one each.
    """

    manifests: tuple[Manifest, ...]
    made: int
    kept: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Manifest, ...] = ()

    @property
    def rows(self) -> int:
        return sum(manifest.rows for manifest in self.manifests)


@dataclass(frozen=True)
class Job:
    """A batch to make from another, file by file."""

    source: Manifest
    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]


def _work_on_part(
    shard: tuple[Manifest, File, str],
    lake: Lake,
    contract: Table,
    work: Callable[..., pa.Table],
    arguments: tuple[Any, ...],
) -> File:
    manifest, file, folder = shard
    return lake.write_table(folder, file.name, work(lake.read_part(manifest, file), *arguments), contract)


def map_batches(
    lake: Lake,
    contract: Table,
    jobs: Sequence[Job],
    work: Callable[..., pa.Table],
    *arguments: Any,
    label: str,
    compute: Compute,
) -> Outcome:
    """For every job the batch that is already there, or a new one: `work(part, *arguments)` for every file of its source, over Dask."""
    found = [lake.reuse(contract.name, job.partition, job.inputs, job.parameters) for job in jobs]
    drafts: list[Draft | None] = [
        None if there else lake.draft(contract.name, job.partition, job.inputs, job.parameters)
        for there, job in zip(found, jobs, strict=True)
    ]
    shards = []
    owners: list[Draft] = []
    rows = 0
    for job, draft in zip(jobs, drafts, strict=True):
        if draft is not None:
            for file in job.source.files:
                shards.append((job.source, file, draft.folder))
                owners.append(draft)
                rows += file.rows
    heavy = rows > ROWS_WORTH_A_CLUSTER
    files = map_shards(
        _work_on_part, shards, lake, contract, work, arguments, label=label, compute=compute, heavy=heavy
    )
    for draft, file in zip(owners, files, strict=True):
        draft.files.append(file)
    done = [
        draft.commit() if draft is not None else there for draft, there in zip(drafts, found, strict=True)
    ]
    manifests = tuple(manifest for manifest in done if manifest is not None)
    return Outcome(
        manifests, sum(draft is not None for draft in drafts), sources=tuple(job.source for job in jobs)
    )
