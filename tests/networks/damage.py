"""Damage to networks, in memory and on disk, for tests that expect a clear error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.networks.in_keras import Network

if TYPE_CHECKING:
    from pipeline.networks.pretrained.network import PretrainedNetwork


def set_weights_to_nan(network: Network | PretrainedNetwork) -> None:
    """Makes every weight a NaN, as a training that diverged does."""
    network.model.set_weights([weight * np.nan for weight in network.model.get_weights()])


def cut_file(path: Path, size: int) -> None:
    """Cuts a file to this many bytes. At least its last 10 bytes are lost."""
    content = path.read_bytes()
    path.write_bytes(content[: min(size, len(content) - 10)])


def add_title_word_to_shape(folder: Path) -> None:
    """Makes shape.json say that there is one more word in titles than the weights have."""
    path = folder / "shape.json"
    content = json.loads(path.read_text())
    content["shape"]["title_vocabulary"] += 1
    path.write_text(json.dumps(content))
