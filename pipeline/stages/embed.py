"""embed: vectors_v1 -> embeddings_v1, with the release's model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.contracts import EMBEDDINGS, VECTORS
from pipeline.lake import Lake
from pipeline.pins import Pinned
from pipeline.progress import track
from pipeline.stages import Outcome
from pipeline.stages.vectorize import id_matrix
from pipeline.text.vocabulary import UNKNOWN


def embed_part(vectors: pa.Table, predictor: Any) -> pa.Table:
    """Ids in, embeddings out, row for row; all zeros where a body has no known word."""
    bodies = id_matrix(vectors.column("body"), predictor.vocabularies.body.length)
    states = predictor.embed_vectors(bodies).astype(np.float16)
    states[~(bodies > UNKNOWN).any(axis=1)] = 0
    rows, size = states.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * size)
    return pa.table({"issue_id": vectors.column("issue_id"), "embedding": pa.ListArray.from_arrays(offsets, pa.array(states.reshape(-1)))})


def run(lake: Lake, release: Pinned) -> Outcome:
    """Embeds what the release's model has not embedded yet. Raises UsageError where the release was not vectorized."""
    plan = release.plan()
    facts = plan.facts
    manifests, made, predictor = [], 0, None
    vectors = release.members(VECTORS.name, "vectorize")
    for source in track(vectors, "embed", len(vectors)):
        partition = {"model": facts["model"], "day": source.day}
        parameters = {"predictor": facts["predictor_digest"]}
        manifest = lake.find(EMBEDDINGS.name, partition, (source.digest,), parameters)
        if manifest is None:
            predictor = predictor or load_predictor(lake, facts["predictor"])
            draft = lake.draft(EMBEDDINGS.name, partition, (source.digest,), parameters)
            for file in source.files:
                draft.write_table(file.name, embed_part(lake.read_part(source, file), predictor), EMBEDDINGS)
            manifest = draft.commit()
            made += 1
        manifests.append(manifest)
    release.set_members(EMBEDDINGS.name, manifests)
    return Outcome(tuple(manifests), made)


def load_predictor(lake: Lake, folder: str) -> Any:
    """The predictor of a batch. Imports the networks' library, so only where there is work for it."""
    from pipeline.predictor import Predictor

    with lake.local_copy(lake.manifest(folder)) as path:
        return Predictor.load(path)
