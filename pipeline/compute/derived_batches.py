"""Makes lake batches from other batches, file by file with Dask. Batches that exist already are reused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.compute.cluster import map_shards
from pipeline.contracts import Table
from pipeline.lake.batches import Draft, Lake
from pipeline.lake.manifest import File, Manifest
from pipeline.settings import Compute

ROWS_WORTH_A_CLUSTER = 100_000
"""If there are more rows than this, a local Dask cluster saves time. In the time that a cluster needs to
start, one process handles about half as many rows."""


@dataclass(frozen=True)
class Outcome:
    """The batches that a stage returns: one per day, in the order of the days.

    `made` is the number of new batches among them. `sources` has the source batch of each batch. It is empty
    if batches have several sources or none. `unchanged_days` has the days that `extract` did not extract
    again, because the source has lost data. The values say what the source still has.
    """

    manifests: tuple[Manifest, ...]
    made: int
    unchanged_days: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Manifest, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows of all batches."""
        return sum(manifest.rows for manifest in self.manifests)


@dataclass(frozen=True)
class Derivation:
    """A batch that is to be made from the batch `source`.

    `partition`, `inputs` and `parameters` are those of the new batch. They determine the batch's key.
    """

    source: Manifest
    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]


def worth_a_cluster(batches: Sequence[Manifest]) -> bool:
    """Returns whether these batches have so many rows that a local Dask cluster saves time."""
    return sum(manifest.rows for manifest in batches) > ROWS_WORTH_A_CLUSTER


def derive_batches(
    lake: Lake,
    contract: Table,
    derivations: Sequence[Derivation],
    work: Callable[..., pa.Table],
    *arguments: Any,
    label: str,
    compute: Compute,
) -> Outcome:
    """Returns one batch per derivation. Reuses an existing batch if possible, otherwise makes a new one.

    A new batch has one file per file of its source. One Dask task makes each file: it writes the table that
    `work(rows, *arguments)` returns for the rows of the source file.
    """
    manifests = [
        lake.reuse(contract.name, derivation.partition, derivation.inputs, derivation.parameters)
        for derivation in derivations
    ]
    drafts: dict[int, Draft] = {}
    tasks: list[tuple[Manifest, File, str]] = []
    task_drafts: list[Draft] = []
    for position, (existing, derivation) in enumerate(zip(manifests, derivations, strict=True)):
        if existing is None:
            draft = lake.draft(contract.name, derivation.partition, derivation.inputs, derivation.parameters)
            drafts[position] = draft
            tasks += [(derivation.source, file, draft.folder) for file in derivation.source.files]
            task_drafts += [draft] * len(derivation.source.files)
    files = map_shards(
        _derive_file,
        tasks,
        lake,
        contract,
        work,
        arguments,
        label=label,
        compute=compute,
        worth_a_cluster=sum(file.rows for _, file, _ in tasks) > ROWS_WORTH_A_CLUSTER,
    )
    for draft, file in zip(task_drafts, files, strict=True):
        draft.files.append(file)
    for position, draft in drafts.items():
        manifests[position] = draft.commit()
    sources = tuple(derivation.source for derivation in derivations)
    return Outcome(tuple(manifest for manifest in manifests if manifest), len(drafts), sources=sources)


def _derive_file(
    task: tuple[Manifest, File, str],
    lake: Lake,
    contract: Table,
    work: Callable[..., pa.Table],
    arguments: tuple[Any, ...],
) -> File:
    source, file, folder = task
    return lake.write_table(folder, file.name, work(lake.read_part(source, file), *arguments), contract)
