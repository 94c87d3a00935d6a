"""Stores the state of a training after an epoch, so that an interrupted training can be resumed.

The state is one file, which is read and written without pickle. The stage `train` stores it in the lake, so
another process, or another machine, can resume the training. `pipeline.networks.in_keras.training` resumes
from the state.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from pipeline.errors import LakeError

Arrays = list[npt.NDArray[Any]]
GROUPS = ("weights", "optimizer", "best")
CHECKPOINT = "checkpoint.npz"


class Storage(Protocol):
    """The folder in which a training stores its checkpoint. It can be local or in a bucket.

    A file is replaced atomically: readers see either the old or the new content.
    """

    def put(self, name: str, data: bytes) -> None:
        """Writes or replaces a file. Raises LakeError if that fails."""
        ...

    def get(self, name: str) -> bytes | None:
        """Returns the content of a file, or None if there is no such file."""
        ...

    def path(self, name: str) -> str:
        """Returns the path or the address of a file, for messages."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """Everything that is needed to resume a training.

    `facts` is an object that can be written as JSON. `weights` and `best` have the values of the model's
    variables. `optimizer` has the values of the optimizer's variables. All values are in the order in which
    Keras lists the variables.
    """

    facts: dict[str, Any]
    weights: Arrays
    optimizer: Arrays
    best: Arrays
    """the weights of the best epoch; empty if the last epoch is the best one, because `weights` has them"""

    def write(self, storage: Storage) -> None:
        """Writes the checkpoint into a storage, in place of an earlier one."""
        arrays = {
            f"{group}/{number:04}": array
            for group in GROUPS
            for number, array in enumerate(getattr(self, group))
        }
        file = io.BytesIO()
        np.savez(file, facts=np.frombuffer(json.dumps(self.facts).encode(), np.uint8), **arrays)
        storage.put(CHECKPOINT, file.getvalue())

    @classmethod
    def read(cls, storage: Storage) -> Checkpoint | None:
        """Reads the checkpoint from a storage. Returns None if there is none. Raises LakeError if the file is
        not a checkpoint."""
        data = storage.get(CHECKPOINT)
        if data is None:
            return None
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                facts = json.loads(file["facts"].tobytes())
                if not isinstance(facts, dict) or not isinstance(facts.get("history"), list):
                    raise ValueError("it has no history of epochs")
                groups = {
                    group: [file[name] for name in sorted(file.files) if name.startswith(f"{group}/")]
                    for group in GROUPS
                }
        except (OSError, ValueError, KeyError, RecursionError, EOFError, zipfile.BadZipFile) as error:
            raise LakeError(
                f"{storage.path(CHECKPOINT)} is not a checkpoint: {error}", train_anew(storage)
            ) from None
        return cls(facts, **groups)


def train_anew(storage: Storage) -> str:
    """Returns the text that tells a user how to train without the checkpoint."""
    return (
        f"To train from the beginning, delete the file {storage.path(CHECKPOINT)}\n"
        "Then run the same command again."
    )


def values(variables: Sequence[keras.Variable]) -> Arrays:
    """Returns copies of the variables' values, as NumPy arrays."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], arrays: Arrays) -> None:
    """Assigns the arrays to the variables, in order.

    Raises ValueError if there are not as many arrays as variables, or if an array does not have the shape of
    its variable.
    """
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
