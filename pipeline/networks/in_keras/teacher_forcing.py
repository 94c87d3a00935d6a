"""Data classes that tell the training loop how to train a variant of the network on titles.

All variants use teacher forcing: in training, the decoder reads the true previous token of a title, not the
token that it predicted itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import KerasTensor, ops

from pipeline.networks.in_keras.length_bucketing import trimmed
from pipeline.networks.shape import PAD, Ids

LOG_PROBABILITY_TOLERANCE = 1e-4
"""Largest difference, from rounding, between two computations of the same log probability."""
TARGETS_MULTIPLE = 256
"""The number of targets in a step is padded to a multiple of this. Few sizes mean few compilations."""


@dataclass(frozen=True)
class TrainingBatch:
    """The input and target arrays of one training step, and how many issues and tokens they contain."""

    inputs: list[Ids]
    """the inputs of `TeacherForcing.model`"""
    targets: Ids
    """the ids that the model must predict"""
    issues: int
    """number of issues"""
    tokens: int
    """number of targets that are not padding: words and `_end_`"""


@dataclass(frozen=True)
class TeacherForcing:
    """How a variant of the network is trained on titles: model, loss, metrics and a few settings."""

    model: keras.Model
    """the model to compile and train; it shares its weights with the network"""
    loss: Callable[..., Any]
    metrics: list[keras.metrics.Metric]
    """token_loss and token_accuracy, means over the tokens of a training batch"""
    loss_is_mean_over: Literal["issues", "tokens"]
    """whether `loss` weights all issues of a training batch equally, or all tokens"""
    training_batches: Callable[[Iterator[tuple[Ids, Ids]]], Iterator[TrainingBatch]]
    """converts pairs of bodies (B, body_length) and titles (B, title_length) to training batches"""
    gradient_norm_limit: float | None = None
    """the global norm that gradients are clipped to; None means that they are not clipped"""
    optimizer: Callable[..., keras.Optimizer] = keras.optimizers.Nadam
    """creates the optimizer; the arguments are those of Keras's optimizers: `learning_rate` and
    `global_clipnorm`"""
    short_body: int | None = None
    """number of ids that bodies are cut to in the first epochs of training, which makes these epochs cheaper;
    None means that bodies are never cut"""
    decays_linearly: bool = False
    """whether the learning rate decays linearly to 0 over the epochs; in every variant, the learning rate is
    also halved after each epoch without a new lowest validation loss"""


def over_targets(
    model: keras.Model,
    title_length: int,
    batches: Callable[[Iterator[tuple[Ids, Ids]]], Iterator[tuple[Ids, Ids]]],
    *,
    gradient_norm_limit: float,
    optimizer: Callable[..., keras.Optimizer],
    short_body: int | None = None,
) -> TeacherForcing:
    """Describes how to train a model that computes the log probabilities of n given tokens, called targets.

    The inputs of `model` are bodies (B, S), titles (B, title_length - 1), targets (n, 1) and the positions of
    the targets (n,). The result (n, 2) has two columns: the log probability of each target, and the log
    probability of the most probable token at the position of the target. The loss is the mean cross-entropy
    over the tokens of titles; padding does not count. The function `batches` divides the pairs of bodies and
    titles into new batches. `TeacherForcing` describes the other arguments.
    """
    inputs = [
        *(
            keras.Input((length,), dtype="int32", name=name)
            for name, length in (("body", None), ("title", title_length - 1))
        ),
        *(keras.Input(shape, dtype="int32", name=name) for name, shape in (("target", (1,)), ("place", ()))),
    ]
    return TeacherForcing(
        model=keras.Model(inputs, model(inputs), name="teacher_forcing"),
        loss=_loss,
        metrics=[
            _TokenMean("token_loss", lambda log_target, _: -log_target),
            _TokenMean(
                "token_accuracy",
                lambda log_target, log_highest: log_target >= log_highest - LOG_PROBABILITY_TOLERANCE,
            ),
        ],
        loss_is_mean_over="tokens",
        training_batches=lambda pairs: map(_training_batch, batches(pairs)),
        gradient_norm_limit=gradient_norm_limit,
        optimizer=optimizer,
        short_body=short_body,
        decays_linearly=True,
    )


def _loss(target: KerasTensor, logs: KerasTensor) -> KerasTensor:
    is_token = ops.cast(target[:, 0] != PAD, logs.dtype)
    return -ops.sum(logs[:, 0] * is_token) / ops.maximum(ops.sum(is_token), 1.0)


class _TokenMean(keras.metrics.Mean):
    """A Keras metric: the mean of a figure over the targets that are not padding."""

    def __init__(self, name: str, figure: Callable[[KerasTensor, KerasTensor], KerasTensor]) -> None:
        """`figure` computes the figure of each target from the two columns that the model returns."""
        super().__init__(name=name)
        self._figure = figure

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        figure = ops.cast(self._figure(y_pred[:, 0], y_pred[:, 1]), y_pred.dtype)
        return super().update_state(figure, sample_weight=ops.cast(y_true[:, 0] != PAD, y_pred.dtype))


def _training_batch(pair: tuple[Ids, Ids]) -> TrainingBatch:
    bodies, titles = pair
    decoder_inputs, targets = titles[:, :-1], titles[:, 1:].reshape(-1)
    tokens = np.flatnonzero(targets != PAD).astype(np.int32)
    padding = (0, -len(tokens) % TARGETS_MULTIPLE)
    position, target = np.pad(tokens, padding), np.pad(targets[tokens], padding)[:, None]
    inputs = [trimmed(bodies), decoder_inputs, target, position]
    return TrainingBatch(inputs, target, len(bodies), len(tokens))
