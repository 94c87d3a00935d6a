"""Loads a predictor from its batch in the lake."""

from __future__ import annotations

from pipeline.lake.batches import Lake
from pipeline.predictor.predictor import LightPredictor, Predictor


def load_predictor(lake: Lake, folder: str) -> Predictor:
    """Returns the predictor in the batch `folder`, in Keras. It is fast for many issues.

    Importing Keras and its backend takes seconds. Raises LakeError if a file is missing or damaged.
    """
    with lake.local_copy(lake.manifest(folder)) as path:
        return Predictor.load(path)


def load_light_predictor(lake: Lake, folder: str) -> LightPredictor:
    """Returns the same predictor in NumPy. It loads at once and gives the same predictions.

    It is meant for a few issues. Raises LakeError if a file is missing or damaged.
    """
    with lake.local_copy(lake.manifest(folder)) as path:
        return LightPredictor.load(path)
