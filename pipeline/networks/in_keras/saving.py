"""Saves a network to `network.keras` (in Keras's format) and `shape.json`, and loads it.

No pickle is used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.errors import LakeError, UsageError
from pipeline.networks.in_keras.network import Network, build
from pipeline.networks.shape import REPLACE_OR_RETRAIN, SHAPE_FILE, WEIGHTS_FILE, Description


def save(network: Network, directory: Path) -> None:
    """Writes `network.keras` and `shape.json` into `directory`, which is created if it does not exist."""
    directory.mkdir(parents=True, exist_ok=True)
    network.model.save(directory / WEIGHTS_FILE)
    Description(network.variant, network.shape, network.shortlist, network.eight_bits).write(directory)


def load(directory: Path) -> Network:
    """Loads the network that `save` wrote into a folder.

    Builds the network from its shape and then reads the weights, so no code from the files is run. Raises
    LakeError if a file is missing or damaged, if the stored variant does not exist, or if the weights do not
    fit the shape or are not finite numbers.
    """
    description = Description.read(directory)
    try:
        network = build(description.variant, description.shape, seed=0)
    except UsageError as error:
        raise LakeError(f"{directory / SHAPE_FILE} is damaged: {error}", REPLACE_OR_RETRAIN) from None
    try:
        network.model.load_weights(directory / WEIGHTS_FILE)
    # Keras and h5py raise many types: ValueError, KeyError, OSError, BadZipFile, zlib.error
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise LakeError(
            f"{directory / WEIGHTS_FILE} is damaged, or does not fit the shape in {SHAPE_FILE}: {reason}",
            REPLACE_OR_RETRAIN,
        ) from None
    if not all(np.isfinite(variable).all() for variable in network.model.get_weights()):
        raise LakeError(
            f"{directory / WEIGHTS_FILE} has weights that are not finite numbers.", REPLACE_OR_RETRAIN
        )
    network.shortlist, network.eight_bits = description.shortlist, description.eight_bits
    return network
