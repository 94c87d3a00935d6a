"""The networks, their training, decoding, and saving. Imports only Keras and NumPy; the backend is Keras's own choice."""

from __future__ import annotations

from pipeline.models import quiet  # isort: skip  # first: it imports Keras
from pipeline.models.network import Decoded, Network
from pipeline.models.shape import Shape
from pipeline.models.variants import VARIANTS, build, check

__all__ = ["VARIANTS", "Decoded", "Network", "Shape", "build", "check", "quiet"]
