"""The weights in a file of Keras's."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.networks.shape import Floats

Weights = Mapping[str, list[Floats]]
"""A layer's weights by its name, in Keras's order."""
Sizes = dict[str, list[tuple[int, ...]]]
"""The shapes of each layer's weights."""


def read(path: Path) -> Weights:
    """The weights in a zip with an HDF5 file, where each layer's group has a group `vars` that holds its name and its arrays by number.

    Where the group stands is Keras's business: a layer of its own, a layer in another's, a model's attribute. A recurrent layer
    keeps its arrays a level lower, with its cell.
    """
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    weights: dict[str, list[Floats]] = {}

    def take(place: str, group: Any) -> None:
        if isinstance(group, h5py.Group) and "vars" in group and not place.endswith("cell"):
            variables = group["cell/vars"] if "cell" in group else group["vars"]
            weights[str(group["vars"].attrs["name"])] = [
                np.asarray(variables[str(number)], np.float32) for number in range(len(variables))
            ]

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(take)
    return weights


def check(weights: Weights, sizes: Sizes) -> None:
    """Raises ValueError for weights of other shapes."""
    for name, expected in sizes.items():
        found = [array.shape for array in weights.get(name, [])]
        if found != expected:
            raise ValueError(
                f"the layer {name} has weights of the shapes {found}, where {expected} are expected"
            )
