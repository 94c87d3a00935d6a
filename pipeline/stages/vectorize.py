"""vectorize: tokens_v1 -> vectors_v1, in the vocabulary of a model that trains or of a release's model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

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


def vectorize_part(tokens: pa.Table, vocabularies: Vocabularies) -> pa.Table:
    """Tokens in, padded ids out, row for row."""
    return pa.table(
        {
            "issue_id": tokens.column("issue_id"),
            "repo": tokens.column("repo"),
            "trainable": tokens.column("trainable"),
            "body": id_lists(vocabularies.body.ids(tokens.column("body").to_pylist())),
            "title": id_lists(vocabularies.title.ids(tokens.column("title").to_pylist())),
        }
    )


def run(lake: Lake, settings: Settings, pinned: Pinned) -> Outcome:
    """Vectorizes the pinned days of a model or a release. Raises UsageError where its vocabulary was not made."""
    plan = pinned.plan()
    made = pinned.members(VOCABULARY, "vocab")[0] if pinned.kind == "models" else lake.manifest(plan.facts["predictor"])
    vocabularies = vocabularies_of(lake, made)
    jobs = []
    for day in plan.days:
        tokens = pinned.tokens(day)
        jobs.append(Job(tokens, {"vocabulary": vocabularies.id, **tokens.partition}, (tokens.digest,), {}))
    outcome = map_batches(lake, VECTORS, jobs, vectorize_part, vocabularies, label="vectorize", compute=settings.compute)
    pinned.set_members(VECTORS.name, outcome.manifests)
    return outcome
