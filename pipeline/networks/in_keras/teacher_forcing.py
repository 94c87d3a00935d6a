"""What the training loop needs to know about a variant that learns to write titles by teacher forcing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras

from pipeline.networks.shape import Ids


@dataclass(frozen=True)
class TrainingBatch:
    """The arrays of one training step."""

    inputs: list[Ids]
    """the inputs of `TeacherForcing.model`"""
    targets: Ids
    issues: int
    tokens: int
    """number of targets that are not padding: words and `_end_`"""


@dataclass(frozen=True)
class TeacherForcing:
    """How a variant is trained on titles."""

    model: keras.Model
    """the model to compile and train; it shares its weights with the network"""
    loss: Callable[..., Any]
    metrics: list[keras.metrics.Metric]
    """token_loss and token_accuracy, means over the tokens of a batch"""
    loss_is_mean_over: Literal["issues", "tokens"]
    training_batches: Callable[[Iterator[tuple[Ids, Ids]]], Iterator[TrainingBatch]]
    """converts bodies (B, body_length) and titles (B, title_length)"""
    gradient_norm_limit: float | None = None
    """the global norm that gradients are clipped to; None: no clipping"""
    decays_linearly: bool = False
    """whether the learning rate decays linearly over the second half of the epochs, besides being halved
    after an epoch without improvement"""
