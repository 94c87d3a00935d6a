"""Makes batches of the lake from other batches, with one Dask task per file. Existing batches are reused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.compute.new_batches import NewBatch, Part, make_batches
from pipeline.contracts import Table
from pipeline.errors import TitlerError
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import File, Manifest
from pipeline.settings import Compute

ROWS_WORTH_A_CLUSTER = 100_000
"""If there are more rows than this, a local Dask cluster saves time. In the time that a cluster needs to
start, one process handles about half as many rows."""


@dataclass(frozen=True)
class Outcome:
    """The result of a stage. `manifests` has the manifest of each of its batches: one per day, in the order
    of the days.

    `made` is the number of new batches; the others existed before. For each batch in `manifests`,
    `sources` has the manifest of the batch from which it was made. If a stage makes each batch from several
    batches or from none, `sources` is empty.

    Only the stage `extract` sets the other fields. It extracts the days that the user requested. It also
    checks earlier days again if they are not complete. It extracts such a day again if the source may have
    more of its data now.

    If the source has lost some data of a day, `extract` keeps the earlier batch of the day. `unchanged_days`
    has these days, each with the data that the source still has, such as "23 of the 24 hours". If the user
    requested the day, the earlier batch is in `manifests`. If `extract` only checked the day again, the
    earlier batch is not in `manifests`.

    `unchecked_days` has the days that `extract` could not check again, each with the reason. `rechecked_days`
    are the days that it has checked and extracted again. `unreachable_bases` maps every extracted day to
    error messages, one for each base (folder or address of hour files) that could not be reached or did not
    deliver all files.

    If the budget for BigQuery was not enough for all days of `extract`, `refusal` is an error. The caller
    must report the result and then raise this error. Otherwise `refusal` is None.
    """

    manifests: tuple[Manifest, ...]
    made: int
    unchanged_days: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Manifest, ...] = ()
    refusal: TitlerError | None = None
    unchecked_days: Mapping[str, str] = field(default_factory=dict)
    rechecked_days: tuple[str, ...] = ()
    unreachable_bases: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of rows in all batches together."""
        return sum(manifest.rows for manifest in self.manifests)


@dataclass(frozen=True)
class Derivation:
    """A batch that is to be made from the batch `source`.

    `partition`, `inputs` and `parameters` belong to the new batch. They determine the key of the new
    batch. A later command uses this key to find the batch.
    """

    source: Manifest
    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]


def worth_a_cluster(batches: Sequence[Manifest]) -> bool:
    """Returns whether these batches have enough rows for a local Dask cluster to save time."""
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

    A new batch has one file for each file of its source batch. Each file is made by one Dask task, which
    calls `work(rows, *arguments)` with the rows of the source file and writes the table that `work` returns.
    Every task carries `arguments`, so they must be small. The docstring of `make_batches` says what is lost
    if a process is killed.
    """
    manifests = [
        lake.reuse(contract.name, derivation.partition, derivation.inputs, derivation.parameters)
        for derivation in derivations
    ]
    missing = [position for position, existing in enumerate(manifests) if existing is None]
    new_batches = [
        NewBatch(
            derivation.partition,
            derivation.inputs,
            derivation.parameters,
            tuple(Part(file.name, (derivation.source, file)) for file in derivation.source.files),
        )
        for derivation in (derivations[position] for position in missing)
    ]
    new_manifests = make_batches(
        lake,
        contract,
        new_batches,
        functools.partial(_derive, lake=lake, work=work, arguments=arguments),
        label=label,
        compute=compute,
        worth_a_cluster=worth_a_cluster([derivations[position].source for position in missing]),
    )
    for position, manifest in zip(missing, new_manifests, strict=True):
        manifests[position] = manifest
    sources = tuple(derivation.source for derivation in derivations)
    return Outcome(tuple(manifest for manifest in manifests if manifest), len(new_manifests), sources=sources)


def _derive(
    source: tuple[Manifest, File], lake: Lake, work: Callable[..., pa.Table], arguments: tuple[Any, ...]
) -> pa.Table:
    return work(lake.read_part(*source), *arguments)
