"""vectorize: tokens_v1, or for subwords issues_v1, -> vectors_v1, in the vocabulary of a model that trains or of a release's model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import VECTORS
from pipeline.lake import Lake
from pipeline.pins import Pinned
from pipeline.settings import Settings
from pipeline.stages import Job, Outcome, map_batches
from pipeline.stages.vocab import VOCABULARY, vocabularies_of
from pipeline.text.vocabulary import Vocabularies


def id_lists(ids: np.ndarray) -> pa.ListArray:
    """An (n, length) array of ids as a column of lists."""
    rows, length = ids.shape
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * length), pa.array(ids.reshape(-1)))


def id_matrix(column: pa.ChunkedArray, length: int) -> np.ndarray:
    """A column of equally long lists as an (n, length) array."""
    values = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(values).reshape(-1, length) if values else np.zeros((0, length), dtype=np.int32)


def vectorize_part(rows: pa.Table, vocabularies: Vocabularies) -> pa.Table:
    """Tokens in, for subwords issues as they were written, padded ids out, row for row."""
    bodies, titles = rows.column("body"), rows.column("title")
    if vocabularies.units == "subwords":
        bodies = pc.fill_null(bodies, "")
    return pa.table(
        {
            "issue_id": rows.column("issue_id"),
            "repo": rows.column("repo"),
            "trainable": rows.column("trainable"),
            "body": id_lists(vocabularies.body.ids(bodies.to_pylist())),
            "title": id_lists(vocabularies.title.ids(titles.to_pylist())),
        }
    )


def run(lake: Lake, settings: Settings, pinned: Pinned) -> Outcome:
    """Vectorizes the pinned days of a model or a release. Raises UsageError where its vocabulary was not made."""
    plan = pinned.plan()
    made = pinned.members(VOCABULARY, "vocab")[0] if pinned.kind == "models" else lake.manifest(plan.facts["predictor"])
    vocabularies = vocabularies_of(lake, made)
    jobs = []
    for day in plan.days:
        rows = pinned.issues(day) if vocabularies.units == "subwords" else pinned.tokens(day)
        jobs.append(Job(rows, {"vocabulary": vocabularies.id, **rows.partition}, (rows.digest,), {}))
    outcome = map_batches(lake, VECTORS, jobs, vectorize_part, vocabularies, label="vectorize", compute=settings.compute)
    pinned.set_members(VECTORS.name, outcome.manifests)
    return outcome
