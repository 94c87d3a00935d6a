"""The networks in Keras: how they are built, trained, decoded and saved.

This package imports only Keras and NumPy. Keras's own setting chooses the backend, such as TensorFlow.
"""

from __future__ import annotations

from pipeline.networks.in_keras import quiet_import  # isort: skip  # must come first: it imports Keras
from pipeline.networks.in_keras.network import Network, build
from pipeline.networks.shape import Decoded, Shape

__all__ = ["Decoded", "Network", "Shape", "build", "quiet_import"]
