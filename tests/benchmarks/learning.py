"""A network that learns from a part of the benchmark as `titler train` learns from the lake, with the settings' vocabularies.

Imports Keras when a network is built, and nothing else that is heavier than NumPy and Arrow.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.dataset.repository_runs import TOGETHER, in_runs
from pipeline.networks.shape import Ids, Shape, units_of
from pipeline.predictor.predictor import Predictor
from pipeline.text.engine import tokenizer
from pipeline.text.markup import prepare
from pipeline.text.subwords import ISSUES_READ, Subwords, Units
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary

BODY_WORDS, TITLE_WORDS, BODY_LENGTH, TITLE_LENGTH = 8000, 4500, 70, 12
SUBWORDS, BODY_UNITS, TITLE_UNITS = 8000, 256, 24


@dataclass(frozen=True)
class Learning:
    """What a training takes, beside its data."""

    variant: str = "gru"
    epochs: int = 4
    batch_size: int = 256
    learning_rate: float = 0.001
    seed: int = 42
    contrast_epochs: int = 6
    pieces: int = 1
    """epochs that a pass over the issues is parted into, so that the best of few passes can be chosen"""


@dataclass(frozen=True)
class Pairs:
    """Bodies (n, body length) and titles (n, title length) in memory; called with the number of an epoch, batches in that epoch's order."""

    bodies: Ids
    titles: Ids
    groups: npt.NDArray[np.int64]
    """(n,): a number for each one's repository"""
    batch_size: int
    seed: int
    together: int = 1
    """issues of a repository in a row"""

    pieces: int = 1

    def __call__(self, epoch: int) -> Iterator[tuple[Ids, Ids]]:
        passed, piece = divmod(max(0, epoch - 1), self.pieces)
        order = in_runs(self.groups, self.together, np.random.default_rng([self.seed, passed]))[
            piece :: self.pieces
        ]
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield self.bodies[rows], self.titles[rows]


def learn(
    train: pa.Table, validation: pa.Table, how: Learning, name: str, on_epoch: Callable[[Any], None] = print
) -> Predictor:
    """A model that learned titles from bodies of `train`, with the weights of the epoch that was best on `validation`.

    It never abstains by its confidence. Raises UsageError where either part is empty.
    """
    from pipeline.networks.in_keras import build
    from pipeline.networks.in_keras.training import fit

    vocabularies, *ids = (
        _subwords(train, validation) if units_of(how.variant) == "subwords" else _words(train, validation)
    )
    learned, held = (
        Pairs(*pair, _groups(part), how.batch_size, how.seed)
        for pair, part in zip(ids, (train, validation), strict=True)
    )
    body, title = vocabularies.body, vocabularies.title
    network = build(how.variant, Shape(body.size, title.size, body.length, title.length), how.seed)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        fit(
            network,
            replace(learned, pieces=how.pieces),
            held,
            epochs=how.epochs,
            learning_rate=how.learning_rate,
            patience=how.epochs,
            checkpoint=Path(folder),
            on_epoch=on_epoch,
            seed=how.seed,
            contrast=replace(learned, together=TOGETHER),
            contrast_epochs=how.contrast_epochs,
        )
    return Predictor(name, network, vocabularies, "titler", abstain_below=0.0, batch_size=512)


Learned = tuple[Vocabularies, tuple[Ids, Ids], tuple[Ids, Ids]]
"""Vocabularies of what trains; ids of bodies and titles of what trains, and of what validates."""


def _groups(issues: pa.Table) -> npt.NDArray[np.int64]:
    return np.array(
        [zlib.crc32((repo or "").encode()) for repo in issues["repo"].to_pylist()], dtype=np.int64
    )


def _words(train: pa.Table, validation: pa.Table) -> Learned:
    tokens = [
        [tokenizer("titler")(part[name].to_pylist()) for name in ("body", "title")]
        for part in (train, validation)
    ]
    body = Vocabulary.fit(Counts.of(tokens[0][0]), BODY_WORDS, BODY_LENGTH, "pre", start_end=False)
    title = Vocabulary.fit(Counts.of(tokens[0][1]), TITLE_WORDS, TITLE_LENGTH, "post", start_end=True)
    first, second = ((body.ids(bodies), title.ids(titles)) for bodies, titles in tokens)
    return Vocabularies(body, title), first, second


def _subwords(train: pa.Table, validation: pa.Table) -> Learned:
    read = train.take(np.arange(0, len(train), -(-len(train) // ISSUES_READ)))
    units = Units.fit(
        (prepare(text) for name in ("title", "body") for text in read[name].to_pylist()), SUBWORDS
    )
    body, title = Subwords(units, BODY_UNITS, start_end=False), Subwords(units, TITLE_UNITS, start_end=True)
    first, second = (
        (body.ids(part["body"].to_pylist()), title.ids(part["title"].to_pylist()))
        for part in (train, validation)
    )
    return Vocabularies(body, title), first, second
