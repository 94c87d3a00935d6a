"""Loads the predictor in a batch of the lake."""

from __future__ import annotations

from pipeline.lake.batches import Lake
from pipeline.predictor.predictor import LightPredictor, Predictor


def load_predictor(lake: Lake, folder: str) -> Predictor:
    """The predictor in a batch, for many issues. Imports Keras and its backend, which takes seconds."""
    with lake.local_copy(lake.manifest(folder)) as path:
        return Predictor.load(path)


def load_light_predictor(lake: Lake, folder: str) -> LightPredictor:
    """The same predictor for a few issues, in NumPy: it loads at once."""
    with lake.local_copy(lake.manifest(folder)) as path:
        return LightPredictor.load(path)
