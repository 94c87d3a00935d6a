"""Maps the name of each variant of the network to its implementation in Keras.

The module `pipeline.networks.variants` describes the variants.
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
    """The functions that build, train and decode one variant of the network.

    `build` returns a Keras model. The functions `teacher_forcing` and `decoder` take this model as their
    argument.
    """

    build: Callable[[Shape], keras.Model]
    """builds the model with random weights; raises UsageError if the variant does not support the shape"""
    teacher_forcing: Callable[[Any], TeacherForcing]
    """returns the training model, loss and metrics for the training on titles"""
    decoder: Callable[[Any], Decoder]
    """returns the model in the form that beam search uses"""


IMPLEMENTATIONS: Mapping[str, Implementation] = MappingProxyType(
    {
        "gru": Implementation(gru.build_gru, gru.teacher_forcing, gru.GruDecoder),
        "gru_cudnn": Implementation(gru.build_gru_cudnn, gru.teacher_forcing, gru.GruDecoder),
        "copy": Implementation(copy.build_copy, copy.teacher_forcing, lambda model: model),
    }
)
