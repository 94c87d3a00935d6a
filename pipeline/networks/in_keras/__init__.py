"""The networks, their training, decoding, and saving. Imports only Keras and NumPy; the backend is Keras's own choice."""

from __future__ import annotations

from pipeline.networks.in_keras import quiet_import  # isort: skip  # first: it imports Keras
from pipeline.networks.in_keras.network import Network, build
from pipeline.networks.in_keras.variants import VARIANTS, check
from pipeline.networks.shape import Decoded, Shape

__all__ = ["VARIANTS", "Decoded", "Network", "Shape", "build", "check", "quiet_import"]
