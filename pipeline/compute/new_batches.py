"""Makes new batches of the lake, one Dask task per file. A batch is committed as soon as it is complete."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.compute.cluster import map_shards
from pipeline.contracts import Table
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft
from pipeline.lake.finished_parts import FinishedPart, FinishedParts
from pipeline.lake.manifest import Manifest
from pipeline.settings import Compute


@dataclass(frozen=True)
class Part:
    """A file that is to be made: its name, and the source that its rows are computed from.

    The source must be small, because a Dask task carries it. It says what to read, and has no rows itself.
    """

    name: str
    source: Any


@dataclass(frozen=True)
class NewBatch:
    """A batch that is to be made. `parts` are its files.

    `partition`, `inputs` and `parameters` determine the key of the batch. A later command uses this key to
    find the batch. `figures` are stored in the batch's manifest, together with the counts that `make_batches`
    computes.
    """

    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    parts: tuple[Part, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


def no_counts(rows: pa.Table) -> Mapping[str, int]:
    """Counts nothing: returns an empty dict. Used for batches whose manifests have no counts."""
    return {}


def make_batches(
    lake: Lake,
    contract: Table,
    batches: Sequence[NewBatch],
    make: Callable[..., pa.Table],
    *arguments: Any,
    label: str,
    compute: Compute,
    worth_a_cluster: bool,
    count: Callable[[pa.Table], Mapping[str, int]] = no_counts,
) -> list[Manifest]:
    """Makes batches of the table `contract`. Returns their manifests in the order of `batches`.

    Each part (file) is made by one Dask task. It calls `make(part.source, *arguments)`, and writes the
    table that this call returns into a file of the lake. `arguments` are copied to every worker once. Tasks
    carry only names of files and folders, and return only the files' entries for the manifest. The figures in
    the manifest of a batch are the batch's own `figures`, and the sums of `count(rows)` over its parts.

    A batch is committed as soon as all its parts are written. This limits what a killed process loses:

    - If a worker is killed, the parts that it was making are lost. Other workers make them again.
    - If the command is killed, the parts that were being made are lost. A batch of only one part is also lost
      if its part was written but the batch was not committed yet. A rerun makes only what was lost. It takes
      the finished parts of an incomplete batch from the lake (`pipeline.lake.finished_parts`).
    """
    drafts = lake.for_each(
        lambda batch: lake.draft(contract.name, batch.partition, batch.inputs, batch.parameters), batches
    )
    manifests: dict[int, Manifest] = {}
    counts: list[Counter[str]] = [Counter() for _ in batches]
    tasks: list[_Task] = []
    positions: list[int] = []
    """for each task, the position of its batch"""
    for position, (batch, draft) in enumerate(zip(batches, drafts, strict=True)):
        finished = FinishedParts.of(draft) if len(batch.parts) > 1 else None
        tasks += [_Task(part, draft.folder, finished) for part in batch.parts]
        positions += [position] * len(batch.parts)
        if not batch.parts:
            manifests[position] = draft.commit({**batch.figures, **count(contract.empty())})

    def add_file(number: int, finished_part: FinishedPart) -> None:
        position = positions[number]
        draft, batch = drafts[position], batches[position]
        draft.files.append(finished_part.file)
        counts[position].update(finished_part.counts)
        if len(draft.files) == len(batch.parts):
            manifests[position] = _commit(draft, {**batch.figures, **counts[position]})

    make_part = functools.partial(_make_part, lake=lake, contract=contract, make=make, count=count)
    map_shards(
        make_part,
        tasks,
        *arguments,
        label=label,
        compute=compute,
        worth_a_cluster=worth_a_cluster,
        on_result=add_file,
        partitions=[batches[position].partition for position in positions],
    )
    return [manifests[position] for position in range(len(batches))]


@dataclass(frozen=True)
class _Task:
    """A part to make, and the folder of its batch.

    `finished` has the records of the batch's finished parts. A batch with only one part needs no records,
    because it is committed as soon as the part is made. For such a batch, `finished` is None.
    """

    part: Part
    folder: str
    finished: FinishedParts | None


def _make_part(
    task: _Task,
    *arguments: Any,
    lake: Lake,
    contract: Table,
    make: Callable[..., pa.Table],
    count: Callable[[pa.Table], Mapping[str, int]],
) -> FinishedPart:
    """Makes one part, or takes the part that an interrupted command has finished."""
    finished_part = task.finished.take(task.part.name) if task.finished else None
    if finished_part is None:
        rows = make(task.part.source, *arguments)
        file = lake.write_table(task.folder, task.part.name, rows, contract)
        finished_part = FinishedPart(file, dict(count(rows)))
        if task.finished:
            task.finished.add(finished_part)
    return finished_part


def _commit(draft: Draft, figures: Mapping[str, Any]) -> Manifest:
    manifest = draft.commit(figures)
    if len(manifest.files) > 1:
        FinishedParts.of(draft).forget(file.name for file in manifest.files)
    return manifest
