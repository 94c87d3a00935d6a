"""Training with teacher forcing, from batches that need not fit in memory; a killed training goes on where it was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import KerasTensor, ops

from pipeline.errors import LakeError, TitlerError, UsageError
from pipeline.models.checkpoint import Arrays, Checkpoint, assign, values
from pipeline.models.network import Network
from pipeline.models.warmup import Warmup
from pipeline.shape import PAD

CHECKPOINT = "checkpoint.npz"
Ids = npt.NDArray[np.int32]
Data = Callable[[int], Iterator[tuple[Ids, Ids]]]
"""Called with the number of the epoch, from 1: batches of bodies (B, body_length) and titles (B, title_length)."""


@dataclass(frozen=True)
class EpochFigures:
    """An epoch, training and validation. Losses are natural logarithms.

    `loss` is the article's: the mean cross-entropy over all positions of a title, padding included, so it falls by merely
    learning where titles end. `token_loss` and `token_accuracy` count only the words and `_end_`.
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
    on_epoch: Callable[[EpochFigures], None],
    seed: int,
) -> History:
    """Trains `network` in place and leaves it with the weights of the epoch whose validation loss was lowest.

    Nadam and sparse cross-entropy, as in the article. The learning rate is halved after each epoch that brought no gain;
    training stops after `epochs`, or once `patience` epochs in a row brought none. After every epoch `on_epoch` is called, then
    a checkpoint is written into the folder `checkpoint`; where one is there already, training goes on behind its last epoch, with the
    same figures as if it had never been interrupted (an epoch may be reported twice). `seed` is the one that `network` and the data's
    order were made from: a checkpoint of another is refused.

    Raises UsageError where there is nothing to train or to validate on, LakeError for a checkpoint that is damaged or of
    another training, TitlerError where the loss is no longer a number.
    """
    model = keras.Model(network.model.inputs, network.model.outputs, name="teacher_forcing")
    optimizer = keras.optimizers.Nadam(learning_rate)
    # XLA is left to Keras, which takes it on accelerators only: on CPU it is a tenth quicker, after seconds of compiling every batch size.
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=[_TokenLoss(), _TokenAccuracy()])
    optimizer.build(network.model.trainable_variables)
    about = {"variant": network.variant, "shape": asdict(network.shape), "learning_rate": learning_rate, "seed": seed}

    history: History = ()
    best: Arrays = []
    file = checkpoint / CHECKPOINT
    if file.exists():
        history, best = _resume(file, about, network, optimizer)
    learn = Warmup(network.model, int(ops.convert_to_numpy(optimizer.iterations))).wrap(model.train_on_batch)
    while len(history) < epochs and _epochs_without_gain(history) < patience:
        epoch = len(history) + 1
        optimizer.learning_rate = _learning_rate(learning_rate, history)
        began = time.monotonic()
        trained, issues = _pass(model, learn, train(epoch), "train", network)
        if not math.isfinite(trained["loss"]):
            raise TitlerError(
                f"The training loss of epoch {epoch} is {trained['loss']}.",
                f"Lower model.learning_rate, now {learning_rate}, and train a new model.",
                final=True,
            )
        validated, _ = _pass(model, model.test_on_batch, validation(epoch), "validate", network)
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
        facts = {"about": about, "history": [asdict(figures) for figures in history]}
        Checkpoint(facts, weights, values(optimizer.variables), [] if best is weights else best).write(file)
    assign(network.model.variables, best)
    return history


def _pass(
    model: keras.Model, step: Callable[..., Any], batches: Iterator[tuple[Ids, Ids]], what: str, network: Network
) -> tuple[dict[str, float], int]:
    """One epoch's figures by name, and its issues.

    The means are taken here: Keras's own give a smaller last batch the weight of a full one.
    """
    sums = {"loss": 0.0, "token_loss": 0.0, "token_accuracy": 0.0}
    issues = tokens = 0
    for bodies, titles in batches:
        if not issues:
            _check(bodies, titles, network)
        targets = titles[:, 1:]
        model.reset_metrics()
        logs = step([bodies, titles[:, :-1]], targets, return_dict=True)
        counted = int(np.count_nonzero(targets != PAD))
        for name in sums:
            sums[name] += float(logs[name]) * (len(bodies) if name == "loss" else counted)
        issues += len(bodies)
        tokens += counted
    if not issues:
        raise UsageError(f"There is no issue to {what} on.", "Take more days:  titler vocab --from DAY --to DAY")
    return {name: total / (issues if name == "loss" else max(1, tokens)) for name, total in sums.items()}, issues


def _check(bodies: Ids, titles: Ids, network: Network) -> None:
    shape = network.shape
    if bodies.shape[1:] != (shape.body_length,) or titles.shape[1:] != (shape.title_length,):
        raise UsageError(
            f"Bodies of shape {bodies.shape} and titles of {titles.shape}; "
            f"this network trains on (B, {shape.body_length}) and (B, {shape.title_length})."
        )


def _resume(path: Path, about: dict[str, Any], network: Network, optimizer: keras.Optimizer) -> tuple[History, Arrays]:
    """Takes over the checkpoint's weights and optimizer; gives its history and the best epoch's weights."""
    found = Checkpoint.read(path)
    if found.facts.get("about") != about:
        raise LakeError(
            f"{path} is of another training: {found.facts.get('about')}; this one is {about}.", f"Train from the beginning:  rm {path}"
        )
    history = tuple(EpochFigures(**figures) for figures in found.facts["history"])
    assign(network.model.variables, found.weights)
    assign(optimizer.variables, found.optimizer)
    return history, found.best or found.weights


def _epochs_without_gain(history: History) -> int:
    return history[-1].epoch - best_epoch(history).epoch if history else 0


def _learning_rate(first: float, history: History) -> float:
    """Halved for each epoch so far that was not better than all before it."""
    fruitless = sum(_epochs_without_gain(history[:epoch]) > 0 for epoch in range(1, len(history) + 1))
    return float(first * 0.5**fruitless)


class _TokenLoss(keras.metrics.Mean):
    """Mean cross-entropy over the positions that are no padding."""

    def __init__(self) -> None:
        super().__init__(name="token_loss")

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        losses = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        return super().update_state(losses, sample_weight=ops.cast(y_true != PAD, losses.dtype))


class _TokenAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Share of the positions that are no padding whose token is the likeliest one."""

    def __init__(self) -> None:
        super().__init__(name="token_accuracy")

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        return super().update_state(y_true, y_pred, sample_weight=ops.cast(y_true != PAD, y_pred.dtype))
