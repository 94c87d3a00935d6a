"""Stage `embed`: computes the embedding of every issue of a release, with the release's model.

It reads the table vectors_v1 and writes the table embeddings_v1. Batches are stored under the name of the
model that trained the embedding network, so every model that took this network reuses them.
"""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa

from pipeline.compute.derived_batches import ROWS_WORTH_A_CLUSTER, Outcome
from pipeline.contracts import EMBEDDINGS, VECTORS
from pipeline.errors import TitlerError
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import network_of_release
from pipeline.lake.list_columns import list_column, list_matrix
from pipeline.lake.pinned import Pinned
from pipeline.predictor.batch_inference import Inference, InferenceDay, infer_days
from pipeline.predictor.predictor import Model
from pipeline.settings import Settings

ROWS_PER_PART = 100_000
"""Maximum number of issues per Dask task. One core embeds as many in about 15 seconds."""


def embed_part(vectors: pa.Table, predictor: Model) -> pa.Table:
    """Computes the embedding of each issue. Returns the ids of the issues and their embeddings. If the
    model's vocabulary contains no word of an issue, its embedding is all zeros.

    `vectors` are rows of the table vectors_v1. They have the title and the body of each issue as ids of words
    or subwords in the model's vocabularies, cut or padded to fixed lengths.

    Raises TitlerError if an embedding has NaN, or a number that is too large for 16 bits. Distances to such
    an embedding would be meaningless.
    """
    bodies = list_matrix(vectors.column("body"), predictor.vocabularies.body.length)
    titles = list_matrix(vectors.column("title"), predictor.vocabularies.title.length)
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        embeddings = predictor.embed_vectors(bodies, titles).astype(np.float16)
    embeddings[~predictor.has_known_words(bodies, titles)] = 0
    if not np.isfinite(embeddings).all():
        raise TitlerError(
            f"The network of model {predictor.name} computes embeddings whose values are not finite, or are "
            "too large for 16 bits (above 65,504).",
            "Train another model with a lower model.learning_rate.",
        )
    return pa.table({"issue_id": vectors.column("issue_id"), "embedding": list_column(embeddings)})


def run(lake: Lake, settings: Settings, release: Pinned) -> Outcome:
    """Computes the embeddings of a release's issues. Returns one batch of the table embeddings_v1 per day.
    Reuses batches that were made with the same embedding network. Raises UsageError if the stage `vectorize`
    has not run for the release."""
    network = network_of_release(release.plan)
    days = [
        InferenceDay(
            vectors,
            functools.partial(lake.read_part, vectors),
            {"model": network.model, "day": vectors.day},
            (vectors.digest,),
            {"predictor": network.digest},
        )
        for vectors in release.members[VECTORS.name]
    ]
    inference = Inference(
        "embed",
        EMBEDDINGS,
        embed_part,
        rows_per_part=ROWS_PER_PART,
        rows_worth_a_cluster=ROWS_WORTH_A_CLUSTER,
    )
    return infer_days(lake, settings.compute, release, days, inference)
