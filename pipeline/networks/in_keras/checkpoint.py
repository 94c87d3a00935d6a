"""A training's state after an epoch, in one file without pickle, so that a killed training goes on."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from pipeline.errors import LakeError

Arrays = list[npt.NDArray[Any]]
GROUPS = ("weights", "optimizer", "best")


@dataclass(frozen=True)
class Checkpoint:
    """All a training needs to go on: `facts` is JSON, the rest are variables' values in order."""

    facts: dict[str, Any]
    weights: Arrays
    optimizer: Arrays
    best: Arrays
    """the weights of the best epoch; none where that is the last one, whose weights are `weights`"""

    def write(self, path: Path) -> None:
        """Writes the file aside and renames it, so that `path` is always whole. Raises LakeError where there is no room or no right."""
        arrays = {
            f"{group}/{number:04}": array
            for group in GROUPS
            for number, array in enumerate(getattr(self, group))
        }
        aside = path.with_name(f"{path.name}.{os.getpid()}.aside")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("wb") as file:
                    np.savez(file, facts=np.frombuffer(json.dumps(self.facts).encode(), np.uint8), **arrays)
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        except OSError as error:
            raise LakeError(
                f"{path} cannot be written: {error.strerror or error}.",
                "Free space or rights there, then run the same command again: it goes on behind the last epoch that was kept.",
            ) from error

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Raises LakeError for a file that is no checkpoint."""
        try:
            with np.load(path, allow_pickle=False) as file:
                facts = json.loads(file["facts"].tobytes())
                groups = {
                    group: [file[name] for name in sorted(file.files) if name.startswith(f"{group}/")]
                    for group in GROUPS
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise LakeError(
                f"{path} is no checkpoint: {error}", f"Train from the beginning:  rm {path}"
            ) from None
        return cls(facts, **groups)


def values(variables: Sequence[keras.Variable]) -> Arrays:
    """Copies of the variables' values."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], arrays: Arrays) -> None:
    """Gives the variables these values, in order. Raises ValueError where their number or a shape differs."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
