"""The implementation of each variant in Keras, by the variant's name.

`pipeline.networks.variants` has the facts about each variant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras

from pipeline.networks.in_keras import copy, gru
from pipeline.networks.in_keras.beam_search import Decoder
from pipeline.networks.in_keras.teacher_forcing import TeacherForcing
from pipeline.networks.shape import Shape


@dataclass(frozen=True)
class Implementation:
    """The interface that every variant offers. `build` makes the model that the other functions take."""

    build: Callable[[Shape], keras.Model]
    """the model with fresh weights; raises UsageError if the variant does not support the shape"""
    teacher_forcing: Callable[[Any], TeacherForcing]
    decoder: Callable[[Any], Decoder]


IMPLEMENTATIONS: Mapping[str, Implementation] = MappingProxyType(
    {
        "gru": Implementation(gru.build_gru, gru.teacher_forcing, gru.GruDecoder),
        "gru_cudnn": Implementation(gru.build_gru_cudnn, gru.teacher_forcing, gru.GruDecoder),
        "copy": Implementation(copy.build_copy, copy.teacher_forcing, lambda model: model),
    }
)
