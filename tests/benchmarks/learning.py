"""A network that learns from a part of the benchmark as `titler train` learns from the lake, with the article's text and vocabularies.

Imports Keras when a network is built, and nothing else that is heavier than NumPy and Arrow.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.predictor import Predictor
from pipeline.shape import Ids, Shape
from pipeline.text.engine import tokenizer
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary

BODY_WORDS, TITLE_WORDS = 8000, 4500
BODY_LENGTH, TITLE_LENGTH = 70, 12


@dataclass(frozen=True)
class Learning:
    """What a training takes, beside its data."""

    variant: str = "gru"
    epochs: int = 4
    batch_size: int = 256
    learning_rate: float = 0.001
    seed: int = 42


@dataclass(frozen=True)
class Pairs:
    """Bodies (n, BODY_LENGTH) and titles (n, TITLE_LENGTH) in memory; called with the number of an epoch, batches in that epoch's order."""

    bodies: Ids
    titles: Ids
    batch_size: int
    seed: int

    def __call__(self, epoch: int) -> Iterator[tuple[Ids, Ids]]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.bodies))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield self.bodies[rows], self.titles[rows]


def learn(train: pa.Table, validation: pa.Table, how: Learning, name: str, on_epoch: Callable[[Any], None] = print) -> Predictor:
    """A model that learned titles from bodies of `train`, with the weights of the epoch that was best on `validation`.

    It never abstains by its confidence. Raises UsageError where either part is empty.
    """
    from pipeline.models import build
    from pipeline.models.training import fit

    tokens = [(_tokens(part["body"]), _tokens(part["title"])) for part in (train, validation)]
    vocabularies = Vocabularies(
        body=Vocabulary.fit(Counts.of(tokens[0][0]), BODY_WORDS, BODY_LENGTH, "pre", start_end=False),
        title=Vocabulary.fit(Counts.of(tokens[0][1]), TITLE_WORDS, TITLE_LENGTH, "post", start_end=True),
    )
    data = [Pairs(vocabularies.body.ids(bodies), vocabularies.title.ids(titles), how.batch_size, how.seed) for bodies, titles in tokens]
    network = build(how.variant, Shape(vocabularies.body.size, vocabularies.title.size, BODY_LENGTH, TITLE_LENGTH), how.seed)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        fit(
            network,
            *data,
            epochs=how.epochs,
            learning_rate=how.learning_rate,
            patience=how.epochs,
            checkpoint=Path(folder),
            on_epoch=on_epoch,
            seed=how.seed,
        )
    return Predictor(name, network, vocabularies, "titler", abstain_below=0.0, batch_size=512)


def _tokens(texts: pa.ChunkedArray) -> Sequence[list[str]]:
    return tokenizer("titler")(texts.to_pylist())
