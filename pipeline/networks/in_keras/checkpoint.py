"""Stores the state of a training after an epoch, so that an interrupted training can be resumed.

The state is one file, which is read and written without pickle. The stage `train` chooses its folder
(`pipeline.lake.batches.Lake.scratch`). If the lake is a folder, the file is in the lake, so another process
or pod resumes the training. If the lake is a bucket, the file is in the machine's temporary folder, so only a
process with the same folder resumes. `pipeline.networks.in_keras.training` resumes from the state.
"""

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
    """Everything that is needed to resume a training.

    `facts` is an object that can be written as JSON. The other fields are the values of Keras variables, in
    the order of the variables.
    """

    facts: dict[str, Any]
    weights: Arrays
    optimizer: Arrays
    best: Arrays
    """the weights of the best epoch; empty if the last epoch is the best one, because `weights` has them"""

    def write(self, path: Path) -> None:
        """Writes the checkpoint to the file `path`.

        A temporary file is written first and then renamed, so `path` is always complete. Raises LakeError if
        the disk is full or the permission is missing.
        """
        arrays = {
            f"{group}/{number:04}": array
            for group in GROUPS
            for number, array in enumerate(getattr(self, group))
        }
        temporary = path.with_name(f"{path.name}.{os.getpid()}.aside")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    np.savez(file, facts=np.frombuffer(json.dumps(self.facts).encode(), np.uint8), **arrays)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise LakeError(
                f"{path} cannot be written: {error.strerror or error}.",
                "Free disk space or grant the permission, then run the same command again: "
                "the training resumes after the last epoch with a checkpoint.",
            ) from error

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Reads a checkpoint from a file. Raises LakeError if the file is not a checkpoint."""
        try:
            with np.load(path, allow_pickle=False) as file:
                facts = json.loads(file["facts"].tobytes())
                groups = {
                    group: [file[name] for name in sorted(file.files) if name.startswith(f"{group}/")]
                    for group in GROUPS
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise LakeError(
                f"{path} is not a checkpoint: {error}",
                f"To train from the beginning, delete the file: rm {path}\nThen run the same command again.",
            ) from None
        return cls(facts, **groups)


def values(variables: Sequence[keras.Variable]) -> Arrays:
    """Returns copies of the variables' values, as NumPy arrays."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], arrays: Arrays) -> None:
    """Assigns the arrays to the variables, in order. Raises ValueError if their number or a shape differs."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
