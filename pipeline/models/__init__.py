"""The networks, their training, decoding, and saving. Imports only Keras and NumPy; the backend is Keras's own choice."""

from __future__ import annotations

from pipeline.models import quiet  # isort: skip  # first: it imports Keras
from pipeline.models.network import Network, build
from pipeline.models.variants import VARIANTS, check
from pipeline.shape import Decoded, Shape

__all__ = ["VARIANTS", "Decoded", "Network", "Shape", "build", "check", "quiet"]
