"""Trains a network on a part of the benchmark as `titler train` trains on the lake, with the default
vocabulary sizes.

Before a network is built, imports nothing heavier than NumPy and Arrow; then also Keras.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.dataset.repository_runs import RUN_LENGTH, order_in_runs
from pipeline.networks.shape import Ids, Shape
from pipeline.networks.shortlist import most_frequent_units
from pipeline.networks.variants import variant_of
from pipeline.predictor.predictor import Predictor
from pipeline.text.engine import tokenizer
from pipeline.text.markup import LATEST_PREPARATION, prepare, prepare_body
from pipeline.text.subwords import MAX_TRAINING_ISSUES, BytePairEncoding, SubwordVocabulary
from pipeline.text.title_targets import target_ids
from pipeline.text.vocabulary import Counts, Vocabularies, Vocabulary
from tests.support.checkpoint_folder import CheckpointFolder

BODY_WORDS, TITLE_WORDS, BODY_LENGTH, TITLE_LENGTH = 8000, 4500, 70, 12
SUBWORDS, BODY_UNITS, TITLE_UNITS = 8000, 256, 24


@dataclass(frozen=True)
class Learning:
    """The settings of a training."""

    variant: str = "gru"
    epochs: int = 4
    batch_size: int = 256
    learning_rate: float = 0.0
    """0 stands for the default of the variant"""
    seed: int = 42
    contrast_epochs: int = 6
    pieces: int = 1
    """number of epochs that one pass over the issues is split into: with few passes, more epochs to choose
    the best from"""
    preparation: int = LATEST_PREPARATION
    """subwords: the preparation of bodies"""
    authors_titles: bool = False
    """subwords: learn from all titles as their authors wrote them"""


@dataclass(frozen=True)
class Pairs:
    """Bodies (n, body length) and titles (n, title length) in memory.

    Called with the number of an epoch, yields training batches in that epoch's order.
    """

    bodies: Ids
    titles: Ids
    groups: npt.NDArray[np.int64]
    """(n,): a number for the repository of each issue"""
    batch_size: int
    seed: int
    run_length: int = 1
    """number of consecutive issues of the same repository"""
    pieces: int = 1
    """as in `Learning`"""

    def __call__(self, epoch: int) -> Iterator[tuple[Ids, Ids]]:
        pass_number, piece = divmod(max(0, epoch - 1), self.pieces)
        order = order_in_runs(self.groups, self.run_length, np.random.default_rng([self.seed, pass_number]))[
            piece :: self.pieces
        ]
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield self.bodies[rows], self.titles[rows]


def learn(
    train: pa.Table,
    validation: pa.Table,
    settings: Learning,
    name: str,
    on_epoch: Callable[[Any], None] = print,
    checkpoint: Path | None = None,
) -> Predictor:
    """A model trained on `train`, with the weights of the epoch that was best on `validation`.

    It does not abstain because of low confidence. An interrupted training resumes from the folder
    `checkpoint`. Raises UsageError if either table is empty.
    """
    from pipeline.networks.in_keras import build
    from pipeline.networks.in_keras.training import fit

    vocabularies, *ids = (
        _subwords(train, validation, settings)
        if variant_of(settings.variant).units == "subwords"
        else _words(train, validation)
    )
    contrast_pairs, validation_pairs = (
        Pairs(*pair, _repository_numbers(issues), settings.batch_size, settings.seed)
        for pair, issues in zip(ids, (train, validation), strict=True)
    )
    training_pairs = contrast_pairs
    if not settings.authors_titles:
        training_pairs = _with_targets(vocabularies, contrast_pairs, leave_out=True)
        validation_pairs = _with_targets(vocabularies, validation_pairs, leave_out=False)
    body, title = vocabularies.body, vocabularies.title
    network = build(settings.variant, Shape(body.size, title.size, body.length, title.length), settings.seed)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        fit(
            network,
            replace(training_pairs, pieces=settings.pieces),
            validation_pairs,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate or variant_of(settings.variant).learning_rate,
            patience=settings.epochs,
            checkpoint=CheckpointFolder(checkpoint or folder),
            on_epoch=on_epoch,
            seed=settings.seed,
            contrast=replace(contrast_pairs, run_length=RUN_LENGTH),
            contrast_epochs=settings.contrast_epochs,
        )
    size = variant_of(settings.variant).shortlist_size
    network.shortlist = most_frequent_units(
        [training_pairs.titles], title.size, size, (title.start, title.end)
    )
    network.eight_bits = variant_of(settings.variant).eight_bits
    return Predictor(name, network, vocabularies, "titler", abstain_below=0.0, batch_size=512)


VocabulariesAndIds = tuple[Vocabularies, tuple[Ids, Ids], tuple[Ids, Ids]]
"""Vocabularies of the training issues; ids of bodies and titles for training, and for validation"""


def training_pairs(train: pa.Table, settings: Learning) -> tuple[Vocabularies, Pairs]:
    """Vocabularies of subwords, and the training pairs, with targets unless `authors_titles`."""
    vocabularies, ids, _ = _subwords(train, train.slice(0, 0), settings)
    pairs = Pairs(*ids, _repository_numbers(train), settings.batch_size, settings.seed)
    if not settings.authors_titles:
        pairs = _with_targets(vocabularies, pairs, leave_out=True)
    return vocabularies, pairs


def _repository_numbers(issues: pa.Table) -> npt.NDArray[np.int64]:
    return np.array(
        [zlib.crc32((repo or "").encode()) for repo in issues["repo"].to_pylist()], dtype=np.int64
    )


def _words(train: pa.Table, validation: pa.Table) -> VocabulariesAndIds:
    tokens = [
        [tokenizer("titler")(issues[name].to_pylist()) for name in ("body", "title")]
        for issues in (train, validation)
    ]
    body = Vocabulary.fit(Counts.of(tokens[0][0]), BODY_WORDS, BODY_LENGTH, "pre", start_end=False)
    title = Vocabulary.fit(Counts.of(tokens[0][1]), TITLE_WORDS, TITLE_LENGTH, "post", start_end=True)
    first, second = ((body.ids(bodies), title.ids(titles)) for bodies, titles in tokens)
    return Vocabularies(body, title), first, second


def _subwords(train: pa.Table, validation: pa.Table, settings: Learning) -> VocabulariesAndIds:
    read = train.take(np.arange(0, len(train), -(-len(train) // MAX_TRAINING_ISSUES)))
    titles = (prepare(text) for text in read["title"].to_pylist())
    bodies = (prepare_body(text, settings.preparation) for text in read["body"].to_pylist())
    units = BytePairEncoding.fit(chain(titles, bodies), SUBWORDS)
    body = SubwordVocabulary(units, BODY_UNITS, start_end=False, preparation=settings.preparation)
    title = SubwordVocabulary(units, TITLE_UNITS, start_end=True)

    first, second = (
        (body.ids(issues["body"].to_pylist()), title.ids(issues["title"].to_pylist()))
        for issues in (train, validation)
    )
    return Vocabularies(body, title), first, second


def _with_targets(vocabularies: Vocabularies, pairs: Pairs, leave_out: bool) -> Pairs:
    """The pairs with what the network is to write, if they are of subwords. With `leave_out`, only those
    that it can learn."""
    body, title = vocabularies.body, vocabularies.title
    if not isinstance(body, SubwordVocabulary) or not isinstance(title, SubwordVocabulary):
        return pairs
    targets, learnable = target_ids(body, title, pairs.bodies, pairs.titles)
    kept = learnable if leave_out else np.ones_like(learnable)
    return replace(pairs, bodies=pairs.bodies[kept], titles=targets[kept], groups=pairs.groups[kept])
