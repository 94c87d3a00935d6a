"""Loads a predictor from its batch in the lake."""

from __future__ import annotations

from pathlib import Path

from pipeline.lake.batches import Lake
from pipeline.networks.shape import read_shape
from pipeline.networks.variants import VARIANTS
from pipeline.predictor.predictor import LightPredictor, Model, Predictor

ACCELERATORS = ("nvidia[0-9]*", "kfd", "accel*")
"""Names of files in /dev: GPUs by NVIDIA, GPUs by AMD, and TPUs."""


def load_predictor(lake: Lake, folder: str) -> Model:
    """Returns the predictor in the batch `folder`, in the implementation that is faster for many issues.

    Raises LakeError if a file is missing or damaged.
    """
    with lake.local_copy(lake.manifest(folder)) as path:
        return load_faster(path)


def load_faster(directory: Path) -> Model:
    """Returns the predictor in a local folder, in the implementation that is faster for many issues.

    This is NumPy if the variant is faster in NumPy and the machine has no accelerator. Otherwise it is Keras,
    which takes seconds to import. Raises LakeError if a file is missing or damaged.
    """
    if _is_faster_in_numpy(directory) and not has_accelerator():
        return LightPredictor.load(directory)
    return Predictor.load(directory)


def load_light_predictor(lake: Lake, folder: str) -> Model:
    """Returns the predictor in the batch `folder`, implemented in NumPy if the variant is.

    It is meant for a few issues: Keras takes seconds to import, but NumPy is ready at once. Both give the
    same predictions. Raises LakeError if a file is missing or damaged.
    """
    with lake.local_copy(lake.manifest(folder)) as path:
        return Predictor.load(path) if _reads_texts(path) else LightPredictor.load(path)


def has_accelerator(devices: Path = Path("/dev")) -> bool:
    """Returns whether the machine has a GPU or a TPU.

    Every GPU and every TPU has a file in the folder `devices`.
    """
    return any(any(devices.glob(name)) for name in ACCELERATORS)


def _reads_texts(directory: Path) -> bool:
    variant, _ = read_shape(directory)
    return variant in VARIANTS and VARIANTS[variant].reads_texts


def _is_faster_in_numpy(directory: Path) -> bool:
    variant, _ = read_shape(directory)
    return variant in VARIANTS and VARIANTS[variant].faster_in_numpy
