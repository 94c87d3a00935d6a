"""embed: padded ids in, embeddings out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contracts import EMBEDDINGS
from pipeline.errors import TitlerError
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_column
from pipeline.networks.shape import Floats, Ids
from pipeline.predictor import batch_inference
from pipeline.predictor.predictor import Predictor
from pipeline.settings import Settings
from pipeline.stages import embed
from pipeline.stages.embed import embed_part
from tests.predictor.small_predictors import CopyingNetwork, subword_predictor, word_predictor
from tests.stages.literal_issues import issue
from tests.stages.literal_releases import vectorized_release


class EmbeddingEverythingAs(CopyingNetwork):
    """Gives every issue the same embedding of one number."""

    def __init__(self, number: float) -> None:
        self.number = number

    def encode(self, body_ids: Ids, batch_size: int, *, title_ids: Ids | None) -> Floats:
        return np.full((len(body_ids), 1), self.number, dtype=np.float32)


def has_embedding(predictor: Predictor) -> list[bool]:
    """Whether the embedding is not zero: of a known body, a known title, marks alone, and an unknown body."""
    bodies = predictor.vectors(["crash", None, "", "!"])
    titles = predictor.title_ids(["", "crash", "!", "theme"])
    vectors = pa.table({"issue_id": [1, 2, 3, 4], "body": list_column(bodies), "title": list_column(titles)})
    return [any(row) for row in embed_part(vectors, predictor).column("embedding").to_pylist()]


def test_embeddings_are_zeros_if_nothing_that_the_variant_reads_is_known() -> None:
    assert has_embedding(word_predictor()) == [True, False, False, False]
    assert has_embedding(subword_predictor()) == [True, True, False, True]


@pytest.mark.parametrize("number", [np.nan, np.inf, -1e5])
def test_embeddings_that_are_not_finite_are_refused(number: float) -> None:
    predictor = subword_predictor(network=EmbeddingEverythingAs(number))
    bodies, titles = predictor.vectors(["crash"]), predictor.title_ids([""])
    vectors = pa.table({"issue_id": [1], "body": list_column(bodies), "title": list_column(titles)})
    with pytest.raises(TitlerError, match="embeddings whose values are not finite"):
        embed_part(vectors, predictor)


def test_an_issue_without_known_words_is_zeros_whatever_the_network_computes() -> None:
    predictor = subword_predictor(network=EmbeddingEverythingAs(np.nan))
    bodies, titles = predictor.vectors([""]), predictor.title_ids(["!"])
    vectors = pa.table({"issue_id": [1], "body": list_column(bodies), "title": list_column(titles)})
    assert embed_part(vectors, predictor).column("embedding").to_pylist() == [[0.0]]


def test_each_day_of_a_release_is_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = subword_predictor()  # an embedding is the number of ids of body and title
    monkeypatch.setattr(batch_inference, "load_predictor", lambda lake, folder: predictor)
    days = {"2015-01-01": [issue(1, "the window", "the crash")], "2015-01-02": [issue(2, "the crash", None)]}
    release = vectorized_release(Lake(str(tmp_path)), predictor, days)
    outcome = embed.run(release.lake, Settings(), release)
    assert [release.lake.read(manifest, EMBEDDINGS).to_pylist() for manifest in outcome.manifests] == [
        [{"issue_id": 1, "embedding": [6.0]}],
        [{"issue_id": 2, "embedding": [4.0]}],
    ]
    again = embed.run(release.lake, Settings(), release)
    assert (outcome.made, again.made, again.manifests) == (2, 0, outcome.manifests)
    assert release.members.folders(EMBEDDINGS.name) == [manifest.folder for manifest in outcome.manifests]
