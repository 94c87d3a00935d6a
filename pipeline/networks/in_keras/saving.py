"""A network on disk: `network.keras` in Keras's own format and `shape.json`; no pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.errors import LakeError, UsageError
from pipeline.networks.in_keras.network import Network, build
from pipeline.networks.shape import AGAIN, SHAPE, WEIGHTS, read_about, write_about


def save(network: Network, directory: Path) -> None:
    """Writes the two files into `directory`, which is made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    network.model.save(directory / WEIGHTS)
    write_about(directory, network.variant, network.shape)


def load(directory: Path) -> Network:
    """The network that `save` wrote. It is built from its shape and given the weights: no code is taken from the file.

    Raises LakeError for a file that is missing or damaged, for a variant that there is not, and for weights that do not fit the shape.
    """
    variant, shape = read_about(directory)
    try:
        network = build(variant, shape, seed=0)
    except UsageError as error:
        raise LakeError(f"{directory / SHAPE} is damaged: {error}", AGAIN) from None
    try:
        network.model.load_weights(directory / WEIGHTS)
    except (
        Exception
    ) as error:  # Keras and h5py raise whatever comes: ValueError, KeyError, OSError, BadZipFile, zlib.error
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise LakeError(
            f"{directory / WEIGHTS} is damaged, or does not fit the shape in {SHAPE}: {first}", AGAIN
        ) from None
    if not all(np.isfinite(variable).all() for variable in network.model.get_weights()):
        raise LakeError(f"{directory / WEIGHTS} holds weights that are not numbers.", AGAIN)
    return network
