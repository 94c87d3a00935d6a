"""Training with teacher forcing, from batches that need not fit in memory; a killed training goes on where it was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
from keras import ops

from pipeline.errors import LakeError, TitlerError, UsageError
from pipeline.networks.in_keras.batch_norm_warmup import Warmup
from pipeline.networks.in_keras.checkpoint import Arrays, Checkpoint, assign, values
from pipeline.networks.in_keras.contrastive_training import Contrast, ContrastFigures
from pipeline.networks.in_keras.network import Network
from pipeline.networks.in_keras.prefetch import ahead
from pipeline.networks.in_keras.teacher_forcing import Lesson
from pipeline.networks.in_keras.variants import VARIANTS
from pipeline.networks.shape import Ids

CHECKPOINT = "checkpoint.npz"
Data = Callable[[int], Iterator[tuple[Ids, Ids]]]
"""Called with the number of the epoch, from 1: batches of bodies (B, body_length) and titles (B, title_length)."""


@dataclass(frozen=True)
class EpochFigures:
    """An epoch, training and validation. Losses are natural logarithms.

    `loss` is what is minimized. The article's is the mean cross-entropy over all positions of a title, padding included, so it falls
    by merely learning where titles end. `token_loss` and `token_accuracy` count only the words and `_end_`.
    """

    epoch: int
    """from 1"""
    issues: int
    """trained on in the epoch"""
    learning_rate: float
    loss: float
    token_loss: float
    token_accuracy: float
    validation_loss: float
    validation_token_loss: float
    validation_token_accuracy: float
    seconds: float = field(compare=False)

    @property
    def group(self) -> str:
        """What the figures are listed under, validation's apart."""
        return "train"


Figures = EpochFigures | ContrastFigures
History = tuple[EpochFigures, ...]


def best_epoch(history: Sequence[EpochFigures]) -> EpochFigures:
    """The epoch of the lowest validation loss, the earliest of equals."""
    return min(history, key=lambda figures: figures.validation_loss)


def fit(
    network: Network,
    train: Data,
    validation: Data,
    *,
    epochs: int,
    learning_rate: float,
    patience: int,
    checkpoint: Path,
    on_epoch: Callable[[Figures], None],
    seed: int,
    contrast: Data | None = None,
    contrast_epochs: int = 6,
) -> History:
    """Trains `network` in place and leaves it with the weights of the epoch whose validation loss was lowest.

    A variant that has something to learn before titles learns that first, for `contrast_epochs` epochs, from the batches of
    `contrast`, by default those of `train`; its epoch 0 is a look at all of them. Then titles, with Nadam, as in the article, and the
    variant's own lesson. The learning rate is halved after each epoch that brought no gain, and falls over the second half of `epochs`
    where the lesson says so (Haegele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", 3);
    training stops after `epochs`, or once `patience` epochs in a row brought no gain.

    After every epoch of either kind `on_epoch` is called, then a checkpoint is written into the folder `checkpoint`; where one is there
    already, training goes on behind its last epoch, with the same figures as if it had never been interrupted (an epoch may be
    reported twice). `seed` is the one that `network` and the data's order were made from: a checkpoint of another is refused.

    Raises UsageError where there is nothing to train or to validate on, LakeError for a checkpoint that is damaged or of
    another training, TitlerError where the loss is no longer a number.
    """
    kind = VARIANTS[network.variant]
    about = {
        "variant": network.variant,
        "shape": asdict(network.shape),
        "learning_rate": learning_rate,
        "seed": seed,
    }
    kept = _Kept(
        checkpoint / CHECKPOINT,
        {**about, "contrast_epochs": contrast_epochs} if kind.contrast else about,
        network,
    )
    history, best = kept.history, kept.best
    if kind.contrast is not None and not history:
        _contrast(kind.contrast(network.model), contrast or train, contrast_epochs, on_epoch, kept)

    lesson = kind.lesson(network.model)
    optimizer = keras.optimizers.Nadam(learning_rate, global_clipnorm=lesson.clip)
    # XLA is left to Keras, which takes it on accelerators only: on CPU it is a tenth quicker, after seconds of compiling every batch size.
    lesson.model.compile(optimizer, lesson.loss, metrics=lesson.metrics)
    optimizer.build(lesson.model.trainable_variables)
    if history:
        assign(optimizer.variables, kept.optimizer)
    learn = Warmup(network.model, int(ops.convert_to_numpy(optimizer.iterations))).wrap(
        lesson.model.train_on_batch
    )
    while len(history) < epochs and _epochs_without_gain(history) < patience:
        epoch = len(history) + 1
        optimizer.learning_rate = _learning_rate(learning_rate, history, epochs if lesson.cools else None)
        began = time.monotonic()
        trained, issues = _pass(lesson, learn, train(epoch), "train", network)
        if not math.isfinite(trained["loss"]):
            raise TitlerError(
                f"The training loss of epoch {epoch} is {trained['loss']}.",
                f"Lower model.learning_rate, now {learning_rate}, and train a new model.",
                final=True,
            )
        validated, _ = _pass(lesson, lesson.model.test_on_batch, validation(epoch), "validate", network)
        figures = EpochFigures(
            epoch=epoch,
            issues=issues,
            learning_rate=float(ops.convert_to_numpy(optimizer.learning_rate)),
            **trained,
            **{f"validation_{name}": value for name, value in validated.items()},
            seconds=time.monotonic() - began,
        )
        history = (*history, figures)
        on_epoch(figures)
        weights = values(network.model.variables)
        if best_epoch(history) is figures:
            best = weights
        kept.history = history
        kept.write(weights, optimizer, [] if best is weights else best)
    assign(network.model.variables, best)
    return history


class _Kept:
    """What the checkpoint says, where there is one: its weights are the network's from here on."""

    def __init__(self, path: Path, about: dict[str, Any], network: Network) -> None:
        self._path, self._about, self._network = path, about, network
        self.contrast: tuple[ContrastFigures, ...] = ()
        self.history: History = ()
        self.optimizer: Arrays = []
        self.best: Arrays = []
        if not path.exists():
            return
        found = Checkpoint.read(path)
        if found.facts.get("about") != about:
            raise LakeError(
                f"{path} is of another training: {found.facts.get('about')}; this one is {about}.",
                f"Train from the beginning:  rm {path}",
            )
        self.contrast = tuple(ContrastFigures(**figures) for figures in found.facts.get("contrast", []))
        self.history = tuple(EpochFigures(**figures) for figures in found.facts["history"])
        self.optimizer, self.best = found.optimizer, found.best or found.weights
        assign(network.model.variables, found.weights)

    def write(self, weights: Arrays, optimizer: keras.Optimizer, best: Arrays) -> None:
        """Keeps the state after an epoch."""
        contrast, history = (
            [asdict(figures) for figures in epochs] for epochs in (self.contrast, self.history)
        )
        facts = {"about": self._about, "contrast": contrast, "history": history}
        Checkpoint(facts, weights, values(optimizer.variables), best).write(self._path)

    @property
    def variables(self) -> list[keras.Variable]:
        """The network's."""
        return list(self._network.model.variables)


def _contrast(
    learning: Contrast, data: Data, epochs: int, on_epoch: Callable[[Figures], None], kept: _Kept
) -> None:
    """What is left of the epochs before titles."""
    if kept.contrast:
        assign(learning.optimizer.variables, kept.optimizer)
    else:
        learning.begin(data(0))
    for epoch in range(len(kept.contrast) + 1, epochs + 1):
        figures = learning.epoch(epoch, data(epoch))
        if not figures.issues:
            raise _nothing("train")
        if not math.isfinite(figures.loss):
            raise TitlerError(
                f"The contrast loss of epoch {epoch} is {figures.loss}.",
                "Train a new model with another model.seed.",
                final=True,
            )
        on_epoch(figures)
        kept.contrast = (*kept.contrast, figures)
        kept.write(values(kept.variables), learning.optimizer, [])
    learning.finish()


def _pass(
    lesson: Lesson, step: Callable[..., Any], batches: Iterator[tuple[Ids, Ids]], what: str, network: Network
) -> tuple[dict[str, float], int]:
    """One epoch's figures by name, and its issues.

    The means are taken here: Keras's own give a smaller last batch the weight of a full one.
    """
    sums = {"loss": 0.0, "token_loss": 0.0, "token_accuracy": 0.0}
    issues = tokens = 0
    with ahead(lesson.batches(_checked(batches, network))) as made:
        for batch in made:
            lesson.model.reset_metrics()
            logs = step(batch.inputs, batch.targets, return_dict=True)
            for name in sums:
                sums[name] += float(logs[name]) * (
                    batch.issues if name == "loss" and lesson.loss_over == "issues" else batch.tokens
                )
            issues += batch.issues
            tokens += batch.tokens
    if not issues:
        raise _nothing(what)
    over = {
        **dict.fromkeys(sums, max(1, tokens)),
        **({"loss": issues} if lesson.loss_over == "issues" else {}),
    }
    return {name: total / over[name] for name, total in sums.items()}, issues


def _nothing(what: str) -> UsageError:
    return UsageError(f"There is no issue to {what} on.", "Take more days:  titler vocab --from DAY --to DAY")


def _checked(batches: Iterator[tuple[Ids, Ids]], network: Network) -> Iterator[tuple[Ids, Ids]]:
    """The batches. Raises UsageError for a first one of another shape."""
    first = next(batches, None)
    if first is not None:
        _check(*first, network)
        yield first
        yield from batches


def _check(bodies: Ids, titles: Ids, network: Network) -> None:
    shape = network.shape
    if bodies.shape[1:] != (shape.body_length,) or titles.shape[1:] != (shape.title_length,):
        raise UsageError(
            f"Bodies of shape {bodies.shape} and titles of {titles.shape}; "
            f"this network trains on (B, {shape.body_length}) and (B, {shape.title_length})."
        )


def _epochs_without_gain(history: History) -> int:
    return history[-1].epoch - best_epoch(history).epoch if history else 0


def _learning_rate(first: float, history: History, cooled_after: int | None) -> float:
    """Halved for each epoch so far that was not better than all before it; in a straight line towards 0 over the second half of epochs."""
    fruitless = sum(_epochs_without_gain(history[:epoch]) > 0 for epoch in range(1, len(history) + 1))
    left = 1.0 if cooled_after is None else min(1.0, 2 * (1 - len(history) / cooled_after))
    return float(first * left * 0.5**fruitless)
