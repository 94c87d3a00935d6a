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
"""If there are more rows than this, starting a local Dask cluster saves time. While a cluster starts, one
process handles about half as many rows."""


@dataclass(frozen=True)
class Outcome:
    """The batches that a stage returns: one per day, in the order of the days.

    `made` is the number of new batches among them. `sources` has, for each batch, the batch from which it was
    made; it is empty if batches have several sources or none. `unchanged_days` has the days that `extract`
    did not extract again, because the source has lost data. Its values say what the source still has.
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

    `partition`, `inputs` and `parameters` are those of the new batch; its key is made of them.
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
    """Returns one batch per derivation: the existing one, or a new one.

    Each file of a new batch is made from one file of its source, by one Dask task. The task writes the table
    `work(rows, *arguments)`, where `rows` are the rows of the source file.
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
