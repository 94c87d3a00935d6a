"""Runs the model of a release on the issues of the release, day by day. Existing batches are reused.

The work is done in Dask tasks. A task runs the model on one file of a day, or on a slice of a large file. The
issues of different tasks are never processed together. This matters because the results for an issue depend,
in their last bits, on the issues in the same matrix product. So the bytes of a batch's files depend neither
on the number of processes nor on the other days in the same run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from pipeline.compute.derived_batches import Outcome
from pipeline.compute.new_batches import NewBatch, Part, make_batches, no_counts
from pipeline.compute.once_per_process import once_per_process
from pipeline.contracts import Table
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import File, Manifest
from pipeline.lake.pinned import BatchKey, Pinned
from pipeline.predictor.loading import has_accelerator, load_predictor
from pipeline.predictor.predictor import Model
from pipeline.settings import Compute


@dataclass(frozen=True)
class InferenceDay:
    """A source day, with what is needed to run a model on its issues.

    `vectors` is the day's batch with the inputs of the model. `read` returns the rows of a file of this
    batch. `partition`, `inputs` and `parameters` form the key of the batch to which the results are written.
    If `kept_batch` is not None, this existing batch has the day's results: the model is not run, and nothing
    is written.
    """

    vectors: Manifest
    read: Callable[[File], pa.Table]
    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    kept_batch: Manifest | None = None


@dataclass(frozen=True)
class Inference:
    """Says how a command runs a model on issues, and how the results are written and counted.

    `infer(rows, predictor)` returns the rows to write, one per input row. `count` gets the rows of a written
    file and returns counts by name. The sums of these counts over the day's files become the figures in the
    day's manifest.

    An input file of more than `rows_per_part` rows is split into parts. A task processes one part, and writes
    the result to a separate file. If all days together have more than `rows_worth_a_cluster` rows to process,
    a local Dask cluster is started. `verb` is the label of the progress bar.
    """

    verb: str
    contract: Table
    infer: Callable[[pa.Table, Model], pa.Table]
    rows_per_part: int
    rows_worth_a_cluster: int
    count: Callable[[pa.Table], Mapping[str, int]] = no_counts


def infer_days(
    lake: Lake, compute: Compute, release: Pinned, days: Sequence[InferenceDay], inference: Inference
) -> Outcome:
    """Runs the model on each day's issues, and records the resulting batches in the release. Returns one
    batch per day, and the number of new batches.

    An existing batch with the same key is reused. A day's batch is committed as soon as all its files are
    written. The docstring of `make_batches` says what is lost if a process is killed.

    If the machine has a GPU or a TPU, no local cluster is started, because the processes of the cluster would
    compete for the memory of the GPU or TPU.
    """
    contract = inference.contract
    manifests = {day.vectors.day: day.kept_batch for day in days if day.kept_batch}
    not_kept = [day for day in days if not day.kept_batch]
    existing = release.find_all(
        [BatchKey(contract.name, day.partition, day.inputs, day.parameters) for day in not_kept]
    )
    manifests |= {day.vectors.day: batch for day, batch in zip(not_kept, existing, strict=True) if batch}
    pending = [day for day in not_kept if day.vectors.day not in manifests]
    rows = sum(day.vectors.rows for day in pending)
    new_batches = make_batches(
        lake,
        contract,
        [
            NewBatch(day.partition, day.inputs, day.parameters, _parts(day, inference.rows_per_part))
            for day in pending
        ],
        functools.partial(
            _infer_part, infer=inference.infer, lake=lake, predictor=release.facts["predictor"]
        ),
        label=inference.verb,
        compute=compute,
        worth_a_cluster=rows > inference.rows_worth_a_cluster and not has_accelerator(),
        count=inference.count,
    )
    manifests.update(zip((day.vectors.day for day in pending), new_batches, strict=True))
    in_order = tuple(manifests[day.vectors.day] for day in days)
    release.members.put(contract.name, in_order)
    return Outcome(in_order, len(pending))


@dataclass(frozen=True)
class _Slice:
    """Consecutive rows of a day's file: at most `rows` rows. Row `start` is the first, counted from 0."""

    read: Callable[[File], pa.Table]
    file: File
    start: int
    rows: int


def _parts(day: InferenceDay, rows_per_part: int) -> tuple[Part, ...]:
    """Returns the parts of a day, in the order of the day's rows. This is also the order of their names."""
    parts = []
    for file in day.vectors.files:
        if file.rows <= rows_per_part:
            parts.append(Part(file.name, _Slice(day.read, file, 0, file.rows)))
            continue
        path = PurePosixPath(file.name)
        for number, start in enumerate(range(0, file.rows, rows_per_part)):
            name = f"{path.stem}-{number:05d}{path.suffix}"
            parts.append(Part(name, _Slice(day.read, file, start, rows_per_part)))
    return tuple(parts)


def _infer_part(
    part: _Slice, infer: Callable[[pa.Table, Model], pa.Table], lake: Lake, predictor: str
) -> pa.Table:
    """Runs the model on a part of a day. `predictor` is the folder of the model's predictor."""
    rows = part.read(part.file).slice(part.start, part.rows)
    return infer(rows, _predictor(lake, predictor))


@once_per_process
def _predictor(lake: Lake, folder: str) -> Model:
    return load_predictor(lake, folder)
