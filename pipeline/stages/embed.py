"""embed: vectors_v1 -> embeddings_v1, with the release's model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.contracts import EMBEDDINGS, VECTORS, Table
from pipeline.lake.batches import Draft, File, Lake, Manifest
from pipeline.lake.list_columns import list_column, list_matrix
from pipeline.lake.pinned import Pinned
from pipeline.predictor.predictor import LightPredictor, Predictor
from pipeline.progress import track
from pipeline.stages import Outcome

ROWS_TOGETHER = 8192


@dataclass(frozen=True)
class Asked:
    """A day that the release's model is asked about: its vectors, how to read a file's rows, what the batch of answers is keyed by."""

    vectors: Manifest
    read: Callable[[File], pa.Table]
    partition: dict[str, str]
    inputs: tuple[str, ...]
    parameters: dict[str, Any]


def embed_part(vectors: pa.Table, predictor: Any) -> pa.Table:
    """Ids in, embeddings out, row for row; all zeros where nothing that the model reads is known to it."""
    bodies = list_matrix(vectors.column("body"), predictor.vocabularies.body.length)
    titles = list_matrix(vectors.column("title"), predictor.vocabularies.title.length)
    states = predictor.embed_vectors(bodies, titles).astype(np.float16)
    states[~predictor.known(bodies, titles)] = 0
    return pa.table({"issue_id": vectors.column("issue_id"), "embedding": list_column(states)})


def answer_days(
    lake: Lake,
    release: Pinned,
    contract: Table,
    days: Sequence[Asked],
    answer: Callable[[pa.Table, Any], pa.Table],
    verb: str,
) -> Outcome:
    """A batch of `contract` a day: the one that is there, or `answer(rows, predictor)`, row for row.

    Small days are asked about together, ROWS_TOGETHER issues at a time: a network takes as long for a few issues as for a batch
    of them. Each day is committed as soon as it is whole.
    """
    done: dict[str, Manifest] = {}
    waiting: list[tuple[Draft, Asked]] = []
    for day in days:
        found = lake.find(contract.name, day.partition, day.inputs, day.parameters)
        if found is not None:
            done[day.vectors.day] = found
        else:
            waiting.append((lake.draft(contract.name, day.partition, day.inputs, day.parameters), day))
    predictor = load_predictor(lake, release.plan().facts["predictor"]) if waiting else None

    group: list[tuple[Draft, Asked, str, pa.Table]] = []

    def flush() -> None:
        if group:
            answers = answer(pa.concat_tables([table for *_, table in group]), predictor)
            start = 0
            for draft, _, name, table in group:
                draft.write_table(name, answers.slice(start, len(table)), contract)
                start += len(table)
        for draft, day in {id(draft): (draft, day) for draft, day, *_ in group}.values():
            if len(draft.files) == len(day.vectors.files):
                done[day.vectors.day] = draft.commit()
        group.clear()

    for draft, day in track(waiting, verb, len(waiting)):
        if not day.vectors.files:
            done[day.vectors.day] = draft.commit()
        for file in day.vectors.files:
            group.append((draft, day, file.name, day.read(file)))
            if sum(len(table) for *_, table in group) >= ROWS_TOGETHER:
                flush()
    flush()
    manifests = tuple(done[day.vectors.day] for day in days)
    release.set_members(contract.name, manifests)
    return Outcome(manifests, len(waiting))


def run(lake: Lake, release: Pinned) -> Outcome:
    """Embeds what the release's model has not embedded yet. Raises UsageError where the release was not vectorized."""
    facts = release.plan().facts
    days = [
        Asked(
            vectors,
            functools.partial(lake.read_part, vectors),
            {"model": facts["model"], "day": vectors.day},
            (vectors.digest,),
            {"predictor": facts["predictor_digest"]},
        )
        for vectors in release.members(VECTORS.name, "vectorize")
    ]
    return answer_days(lake, release, EMBEDDINGS, days, embed_part, "embed")


def load_predictor(lake: Lake, folder: str) -> Predictor:
    """The predictor of a batch. Imports the networks' library, so only where there is work for it."""
    with lake.local_copy(lake.manifest(folder)) as path:
        return Predictor.load(path)


def load_light_predictor(lake: Lake, folder: str) -> LightPredictor:
    """The same for an issue or two: without that library, so at once."""
    with lake.local_copy(lake.manifest(folder)) as path:
        return LightPredictor.load(path)
