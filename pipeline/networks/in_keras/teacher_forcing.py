"""Data classes that tell the training loop how to train a variant of the network on titles.

All variants use teacher forcing: in training, the decoder reads the true previous token of a title, not the
token that it predicted itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras

from pipeline.networks.shape import Ids


@dataclass(frozen=True)
class TrainingBatch:
    """The input and target arrays of one training step, with the numbers of their issues and tokens."""

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
    """whether the learning rate decays linearly over the second half of the epochs; in every variant, the
    learning rate is also halved after each epoch without a new lowest validation loss"""
