"""Small predictors for tests: an untrained one that reads words, and one of subwords that copies the body."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from pipeline.networks.in_keras import Shape, build
from pipeline.networks.shape import Decoded, Floats, Ids
from pipeline.predictor.predictor import Predictor
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary
from pipeline.text.vocabulary import Vocabularies, Vocabulary

WORDS = ("crash", "window", "close", "number", "error", "theme")
BODY = Vocabulary(WORDS, 5, "pre", False)
TITLE = Vocabulary(("_start_", "_end_", *WORDS), 6, "post", True)
UNITS = BytePairEncoding.fit(["the window crash", "a crash of the window"], 280)
SUBWORDS = Vocabularies(
    SubwordVocabulary(UNITS, 8, start_end=False), SubwordVocabulary(UNITS, 8, start_end=True)
)


def word_predictor(*, abstain_below: float = 0.0) -> Predictor:
    """A predictor that reads words. Its untrained network has noise on the weights, so that titles differ."""
    network = build("gru", Shape(BODY.size, TITLE.size, 5, 6, embedding_size=4, hidden_size=5), seed=4)
    random = np.random.default_rng(4)
    network.model.set_weights(
        [
            weight + random.normal(0, 1, weight.shape) * (weight.ndim > 1)
            for weight in network.model.get_weights()
        ]
    )
    return Predictor("m1", network, Vocabularies(BODY, TITLE), "titler", abstain_below, 16)


class CopyingNetwork:
    """A fake network that reads subwords. The title equals the body; the embedding is the number of ids."""

    variant = "copy"
    shape = Shape(SUBWORDS.body.size, SUBWORDS.title.size, 8, 8, embedding_size=1, hidden_size=1)

    def encode(self, body_ids: Ids, batch_size: int, *, title_ids: Ids | None) -> Floats:
        ids = body_ids if title_ids is None else np.concatenate([body_ids, title_ids], axis=1)
        return (ids > 0).sum(axis=1, keepdims=True).astype(np.float32)

    def decode(self, body_ids: Ids, start: int, end: int, batch_size: int, beam_width: int) -> Decoded:
        ids = np.where(body_ids == 0, end, body_ids)[:, :7]
        lengths = (body_ids > 0).sum(axis=1).astype(np.int32)
        states = self.encode(body_ids, batch_size, title_ids=None)
        return Decoded(ids, lengths, np.zeros(len(ids), np.float32), states)


def subword_predictor(
    vocabularies: Vocabularies = SUBWORDS, network: CopyingNetwork | None = None
) -> Predictor:
    """A predictor that reads subwords, by default with a CopyingNetwork."""
    return Predictor("m2", cast(Any, network or CopyingNetwork()), vocabularies, "titler", 0.0, 16)
