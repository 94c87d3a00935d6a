"""The variants of the network by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import keras

from pipeline.errors import UsageError
from pipeline.models.gru import gru, gru_cudnn
from pipeline.models.network import Network
from pipeline.shape import Shape

VARIANTS: Mapping[str, Callable[[Shape], keras.Model]] = MappingProxyType({"gru": gru, "gru_cudnn": gru_cudnn})
"""What builds each variant, with the inputs, output and layer names that `Network` expects."""


def check(variant: str) -> None:
    """Raises UsageError for a variant that there is not, naming those there are."""
    if variant not in VARIANTS:
        raise UsageError(f"{variant!r} is no variant of the network.", f"Set model.variant to one of: {', '.join(VARIANTS)}")


def build(variant: str, shape: Shape, seed: int) -> Network:
    """A network with fresh weights; the same seed gives the same ones.

    Seeds Python, NumPy and the backend. Raises UsageError for a variant that there is not.
    """
    check(variant)
    keras.utils.set_random_seed(seed)
    return Network(variant, shape, VARIANTS[variant](shape))
