"""A model of `copy` of the default size with fresh weights: made in seconds, as large as a trained one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.networks.in_keras import Shape, build
from pipeline.networks.variants import variant_of
from pipeline.predictor.predictor import Predictor
from pipeline.settings import Settings
from pipeline.text.subwords import BytePairEncoding, SubwordVocabulary
from pipeline.text.vocabulary import Vocabularies

BATCH_SIZE = 256


def fresh_model(texts: Sequence[str], settings: Settings, seed: int = 7) -> Predictor:
    """Returns a predictor whose subwords are those of `texts`, and whose weights depend on the seed only."""
    units = BytePairEncoding.fit(texts, settings.text.subwords)
    vocabularies = Vocabularies(
        SubwordVocabulary(units, settings.text.body_units, start_end=False),
        SubwordVocabulary(units, settings.text.title_units, start_end=True),
    )
    body, title = vocabularies.body, vocabularies.title
    shape = Shape(
        body.size,
        title.size,
        body.length,
        title.length,
        embedding_size=settings.model.embedding_size,
        hidden_size=settings.model.hidden_size,
    )
    network = build("copy", shape, seed=seed)
    shortlist = variant_of("copy").shortlist_size
    network.shortlist = np.arange(shortlist, dtype=np.int32) if title.size > shortlist else None
    network.eight_bits = variant_of("copy").eight_bits
    return Predictor("m", network, vocabularies, "titler", 0.0, BATCH_SIZE)
