"""Loads a predictor (a trained network with its vocabularies) from the lake or from a folder."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.networks.shape import Description
from pipeline.networks.variants import VARIANTS
from pipeline.predictor.predictor import LightPredictor, Model, Predictor

if TYPE_CHECKING:
    from pipeline.lake.batches import Lake  # an MLflow server may lack PyArrow

ACCELERATORS = ("nvidia[0-9]*", "kfd", "accel[0-9]*")
"""Names of files in /dev: GPUs by NVIDIA, GPUs by AMD, and TPUs. The folder /dev/accel has the files of other
processors, such as Intel's NPU, which Keras does not use."""


def load_predictor(lake: Lake, folder: str) -> Model:
    """Loads a predictor for many issues. `folder` is the folder of the predictor's batch in the lake.

    The predictor computes in NumPy or in Keras, whichever is faster. Raises LakeError if a file is missing or
    damaged.
    """
    path = lake.local_copy(lake.manifest(folder))
    return load_faster(path)


def load_faster(directory: Path) -> Model:
    """Loads a predictor for many issues. `directory` is the local folder with the predictor's files.

    The predictor computes in NumPy if its variant is faster in NumPy and the machine has no accelerator.
    Otherwise it computes in Keras, which takes seconds to import. Raises LakeError if a file is missing or
    damaged.
    """
    if _is_faster_in_numpy(Description.read(directory).variant):
        return LightPredictor.load(directory)
    return Predictor.load(directory)


def in_faster_library(predictor: Predictor) -> Model:
    """Converts a predictor to NumPy if NumPy is faster for many issues. Otherwise returns `predictor` itself.

    The docstring of `load_faster` says when NumPy is faster. The conversion changes the predictions a little
    if NumPy multiplies matrices with 8-bit numbers (see `pipeline.networks.in_numpy.products`). Otherwise
    they stay the same, apart from rounding.
    """
    if not _is_faster_in_numpy(predictor.network.variant):
        return predictor
    with TemporaryDirectory() as folder:
        predictor.save(Path(folder))
        return LightPredictor.load(Path(folder))


def load_light_predictor(lake: Lake, folder: str) -> Model:
    """Loads a predictor for a few issues. `folder` is the folder of the predictor's batch in the lake.

    The predictor computes in NumPy, which is ready at once. If its variant needs Keras, it computes in Keras,
    which takes seconds to import. NumPy and Keras give nearly the same predictions. Raises LakeError if a
    file is missing or damaged.
    """
    path = lake.local_copy(lake.manifest(folder))
    return Predictor.load(path) if _reads_texts(path) else LightPredictor.load(path)


def has_accelerator(devices: Path = Path("/dev")) -> bool:
    """Returns whether the machine has a GPU or a TPU.

    Linux has a file for every GPU and every TPU in the folder `devices`.
    """
    return any(any(devices.glob(name)) for name in ACCELERATORS)


def _reads_texts(directory: Path) -> bool:
    variant = Description.read(directory).variant
    return variant in VARIANTS and VARIANTS[variant].reads_texts


def _is_faster_in_numpy(variant: str) -> bool:
    """Returns whether this machine predicts faster with NumPy than with Keras."""
    return variant in VARIANTS and VARIANTS[variant].faster_in_numpy and not has_accelerator()
