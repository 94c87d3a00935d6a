"""Runs the model of a release on the issues of the release, day by day. Existing batches are reused."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.compute.derived_batches import Outcome
from pipeline.contracts import Table
from pipeline.lake.batches import Draft, Lake
from pipeline.lake.manifest import File, Manifest
from pipeline.lake.pinned import Pinned
from pipeline.predictor.loading import load_predictor
from pipeline.progress import track

ROWS_PER_CALL = 8192
"""Number of rows that are processed together. Files of several small days are joined to reach this number."""


@dataclass(frozen=True)
class InferenceDay:
    """A source day whose issues a model is to be run on.

    `vectors` is the day's batch with the inputs of the model. `read` returns the rows of a file of this
    batch. `partition`, `inputs` and `parameters` form the key of the batch that the results are written to.
    If `kept_batch` is a batch, it is used, and no batch is written.
    """

    vectors: Manifest
    read: Callable[[File], pa.Table]
    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    kept_batch: Manifest | None = None


def infer_days(
    lake: Lake,
    release: Pinned,
    contract: Table,
    days: Sequence[InferenceDay],
    infer: Callable[[pa.Table, Any], pa.Table],
    verb: str,
    count: Callable[[pa.Table], Mapping[str, int]] = lambda rows: {},
) -> Outcome:
    """Returns one batch of the table `contract` per day, and records the batches as members of the release.

    An existing batch with the same key is reused. Otherwise `infer(rows, predictor)` computes the rows of the
    batch, one per input row. A network takes as long for a few issues as for a whole mini-batch. So the files
    of several days are joined until a call of `infer` gets at least ROWS_PER_CALL rows. A day's batch is
    committed as soon as all its files are written, so an interrupted command loses little work.

    The figures in a day's manifest are the sums of `count(rows)` over the day's files. `verb` is the label of
    the progress bar.
    """
    manifests: dict[str, Manifest] = {}
    pending: list[tuple[Draft, InferenceDay]] = []
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for day in days:
        existing = day.kept_batch or lake.find(contract.name, day.partition, day.inputs, day.parameters)
        if existing is not None:
            manifests[day.vectors.day] = existing
        else:
            pending.append((lake.draft(contract.name, day.partition, day.inputs, day.parameters), day))
    predictor = load_predictor(lake, release.plan.facts["predictor"]) if pending else None

    group: list[tuple[Draft, InferenceDay, str, pa.Table]] = []

    def process_group() -> None:
        if group:
            results = infer(pa.concat_tables([rows for *_, rows in group]), predictor)
            start = 0
            for draft, _, name, rows in group:
                results_of_file = results.slice(start, len(rows))
                draft.write_table(name, results_of_file, contract)
                counts[draft.batch_id].update(count(results_of_file))
                start += len(rows)
        for draft, day in {id(draft): (draft, day) for draft, day, *_ in group}.values():
            if len(draft.files) == len(day.vectors.files):
                manifests[day.vectors.day] = draft.commit(counts[draft.batch_id])
        group.clear()

    for draft, day in track(pending, verb, len(pending)):
        if not day.vectors.files:
            manifests[day.vectors.day] = draft.commit(count(contract.empty()))
        for file in day.vectors.files:
            group.append((draft, day, file.name, day.read(file)))
            if sum(len(rows) for *_, rows in group) >= ROWS_PER_CALL:
                process_group()
    process_group()
    in_order = tuple(manifests[day.vectors.day] for day in days)
    release.members.put(contract.name, in_order)
    return Outcome(in_order, len(pending))
