"""How a variant is taught to write titles: by teacher forcing, each in its own way, with the same figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras

from pipeline.networks.shape import Ids


@dataclass(frozen=True)
class Batch:
    """One training step's arrays."""

    inputs: list[Ids]
    """the lesson's model's"""
    targets: Ids
    issues: int
    tokens: int
    """words and `_end_`: targets that are no padding"""


@dataclass(frozen=True)
class Lesson:
    """What `fit` needs of a variant."""

    model: keras.Model
    """to be compiled and trained: it shares its weights with the network"""
    loss: Callable[..., Any]
    metrics: list[keras.metrics.Metric]
    """token_loss and token_accuracy, means over the tokens of a batch"""
    loss_over: Literal["issues", "tokens"]
    """what the loss of a batch is a mean over"""
    batches: Callable[[Iterator[tuple[Ids, Ids]]], Iterator[Batch]]
    """of bodies (B, body_length) and titles (B, title_length)"""
    clip: float | None = None
    """the norm that all gradients together are cut to"""
    cools: bool = False
    """whether the learning rate falls in the second half of the epochs, and not only after one that brought no gain"""
