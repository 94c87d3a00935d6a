"""Reads a network's weights from a file that Keras wrote."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.errors import LakeError
from pipeline.networks.shape import REPLACE_OR_RETRAIN, WEIGHTS_FILE, Floats

Weights = Mapping[str, list[Floats]]
"""The weights of each layer, by the layer's name. A layer's arrays are in Keras's order."""
WeightShapes = dict[str, list[tuple[int, ...]]]
"""The shapes of the weights of each layer, by the layer's name."""


def read_weights(path: Path) -> Weights:
    """Reads the weights of each layer from a `.keras` file, which is a zip with an HDF5 file.

    In the HDF5 file, each layer has a group, which contains a group `vars`. The group `vars` has the layer's
    arrays, and the attribute `name` with the layer's name. The path of a layer's group is not fixed. It
    depends on whether the layer belongs to the model directly, to another layer, or to an attribute. So this
    function searches for groups `vars`. The arrays of a recurrent layer are in the group `cell/vars` instead.
    """
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    weights: dict[str, list[Floats]] = {}

    def collect(group_path: str, group: Any) -> None:
        if isinstance(group, h5py.Group) and "vars" in group and not group_path.endswith("cell"):
            variables = group["cell/vars"] if "cell" in group else group["vars"]
            weights[str(group["vars"].attrs["name"])] = [
                np.asarray(variables[str(number)], np.float32) for number in range(len(variables))
            ]

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(collect)
    return weights


def read_table(directory: Path) -> Floats:
    """Reads the table (V, size) from which a network computes embeddings: one vector per unit (subword).

    `directory` is the network's folder. The network's variant must have contrastive pre-training: other
    variants have no table. Raises LakeError if the file is missing or damaged.
    """
    try:
        (table,) = read_weights(directory / WEIGHTS_FILE)["table"]
    # zipfile and h5py raise many types: BadZipFile, KeyError, OSError, RuntimeError, ValueError
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise LakeError(f"{directory / WEIGHTS_FILE} is damaged: {reason}", REPLACE_OR_RETRAIN) from None
    return table


def check_shapes(weights: Weights, expected: WeightShapes) -> None:
    """Raises ValueError if the weights of a layer are missing or do not have the expected shapes.

    `expected` maps the name of each layer to the shapes of its weights.
    """
    for name, expected_shapes in expected.items():
        shapes = [array.shape for array in weights.get(name, [])]
        if shapes != expected_shapes:
            raise ValueError(
                f"the weights of the layer {name} have the shapes {shapes}, expected {expected_shapes}"
            )
