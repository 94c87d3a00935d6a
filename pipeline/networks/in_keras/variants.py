"""The variants of the network by name: what builds each, how it is taught, how it reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras

from pipeline.errors import UsageError
from pipeline.networks.in_keras import copy, gru
from pipeline.networks.in_keras.beam_search import Steps
from pipeline.networks.in_keras.contrastive_training import Contrast
from pipeline.networks.in_keras.teacher_forcing import Lesson
from pipeline.networks.shape import Floats, Ids, Shape


@dataclass(frozen=True)
class Variant:
    """Each function but the first takes what the first made."""

    build: Callable[[Shape], keras.Model]
    lesson: Callable[[Any], Lesson]
    steps: Callable[[Any], Steps]
    beam_width: int
    """where the setting does not say"""
    repeats: bool
    """whether greedy decoding may write three tokens twice, as the article's does"""
    trims: bool
    """whether padding behind a body may be cut off"""
    embed: Callable[[Any], Callable[[Ids, Ids | None], Floats]] | None = None
    """gives the function from bodies and titles to embeddings; none: the embedding is the decoder's first state"""
    contrast: Callable[[Any], Contrast] | None = None
    """what is learned before titles are"""


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "gru": Variant(gru.gru, gru.lesson, gru.GruSteps, beam_width=1, repeats=True, trims=False),
        "gru_cudnn": Variant(
            gru.gru_cudnn, gru.lesson, gru.GruSteps, beam_width=1, repeats=True, trims=False
        ),
        "copy": Variant(
            copy.copy,
            copy.lesson,
            lambda model: model,
            beam_width=4,
            repeats=False,
            trims=True,
            embed=copy.embed,
            contrast=Contrast,
        ),
    }
)


def check(variant: str) -> None:
    """Raises UsageError for a variant that there is not, naming those there are."""
    if variant not in VARIANTS:
        raise UsageError(
            f"{variant!r} is no variant of the network.",
            f"Set model.variant to one of: {', '.join(VARIANTS)}",
        )
