"""Describes the sizes, the inputs and the results of networks, and the file that stores the sizes.

This module is used by `pipeline.networks.in_keras`, which trains networks, and by
`pipeline.networks.in_numpy`, which only runs trained networks. It imports neither Keras nor a backend.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError, TitlerError, UsageError

PAD = 0
UNKNOWN = 1
BATCH_SIZE = 512
WEIGHTS_FILE = "network.keras"
SHAPE_FILE = "shape.json"
REPLACE_OR_RETRAIN = "Copy all of the model's files again, or train again:  titler train MODEL"

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """The sizes of a network.

    The defaults are the sizes in the article from which the variant `gru` comes. The article's vocabularies
    had 8,002 ids for bodies and 4,502 ids for titles. Raises UsageError if a size is not a positive integer.
    """

    body_vocabulary: int
    """number of ids in bodies: 0 is padding, 1 is unknown, then words or subwords"""
    title_vocabulary: int
    """number of ids in titles: 0 is padding, 1 is unknown, then words or subwords"""
    body_length: int = 70
    """number of ids per body"""
    title_length: int = 12
    """number of ids per title, including _start_ and _end_"""
    embedding_size: int = 300
    """size of the vector of a word or subword"""
    hidden_size: int = 300
    """size of the hidden layers, and of an issue's embedding"""
    layers: int = 2
    """number of layers in the encoder of the variant `copy`: 1 or 2"""

    def __post_init__(self) -> None:
        for field in fields(self):
            size = getattr(self, field.name)
            if type(size) is not int or size < 1:
                raise UsageError(
                    f"{field.name} = {size!r}, but every size of a network must be an integer of at least 1."
                )

    @property
    def decoder_steps(self) -> int:
        """The maximum number of tokens that the decoder writes: `title_length` without _start_."""
        return self.title_length - 1

    def checked_bodies(self, body_ids: npt.ArrayLike) -> Ids:
        """Returns bodies as an int32 array (n, body_length).

        Raises UsageError if `body_ids` has another shape, or contains an id that is not in the vocabulary.
        """
        ids = np.asarray(body_ids, dtype=np.int32)
        if ids.ndim != 2 or ids.shape[1] != self.body_length:
            raise UsageError(
                f"The bodies have the shape {ids.shape}, but for n bodies this network needs "
                f"the shape (n, {self.body_length})."
            )
        _check_ids(ids, self.body_vocabulary)
        return ids

    def checked_titles(self, title_ids: npt.ArrayLike, bodies: int) -> Ids:
        """Returns titles as an int32 array (bodies, title_length), where `bodies` is the number of bodies.

        Raises UsageError if `title_ids` has another shape, or contains an id that is not in the vocabulary.
        """
        ids = np.asarray(title_ids, dtype=np.int32)
        if ids.shape != (bodies, self.title_length):
            raise UsageError(
                f"The titles have the shape {ids.shape}, but for {bodies} bodies this network needs titles "
                f"of the shape ({bodies}, {self.title_length})."
            )
        _check_ids(ids, self.title_vocabulary)
        return ids

    def decoded_nothing(self) -> Decoded:
        """Returns the result of decoding for an empty list of bodies: arrays without rows."""
        no_ids = np.zeros((0,), np.int32)
        states = np.zeros((0, self.hidden_size), np.float32)
        return Decoded(np.zeros((0, self.decoder_steps), np.int32), no_ids, no_ids.astype(np.float32), states)


def _check_ids(ids: Ids, vocabulary: int) -> None:
    if ids.size and not 0 <= ids.min() <= ids.max() < vocabulary:
        raise UsageError(
            f"The ids range from {ids.min()} to {ids.max()}, "
            f"but the vocabulary of this network has the ids 0 to {vocabulary - 1}.",
            "Use the vocabulary that was stored with the model.",
        )


@dataclass(frozen=True)
class Decoded:
    """What a network computed for n issues: their titles, as ids, and their embeddings."""

    ids: Ids
    """the title's tokens, then _end_ if there is room for it, then zeros: (n, shape.decoder_steps)"""
    lengths: Ids
    """number of tokens in the title, without _end_: (n,)"""
    log_probability: Floats
    """mean natural logarithm of the tokens' probabilities, including that of _end_: (n,)"""
    states: Floats
    """the issue's embedding, computed from its body alone: (n, hidden_size)"""


@dataclass(frozen=True)
class Description:
    """The content of shape.json: the facts that are needed to load a network and to predict titles with
    it."""

    variant: str
    shape: Shape
    shortlist: Ids | None = None
    """the units (subwords) that decoding considers besides those of the body, as
    `pipeline.networks.shortlist` returns them; None stands for the whole vocabulary"""
    eight_bits: bool = False
    """whether NumPy computes the large products with 8 bits per number"""

    def write(self, directory: Path) -> None:
        """Writes shape.json into `directory`."""
        content: dict[str, Any] = {"variant": self.variant, "shape": asdict(self.shape)}
        if self.eight_bits:
            content["eight_bits"] = True
        text = json.dumps(content, indent=2)
        if self.shortlist is not None:
            # on one line, because thousands of lines would hide the rest of the file
            text = text.removesuffix("\n}") + f',\n  "shortlist": {json.dumps(self.shortlist.tolist())}\n}}'
        (directory / SHAPE_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> Description:
        """Reads the description of the network that is stored in a folder.

        Raises LakeError if one of the network's files is missing, or if shape.json is damaged.
        """
        for name in (SHAPE_FILE, WEIGHTS_FILE):
            if not (directory / name).is_file():
                raise LakeError(f"{directory / name} is missing.", REPLACE_OR_RETRAIN)
        try:
            content = json.loads((directory / SHAPE_FILE).read_text(encoding="utf-8"))
            if not isinstance(content, dict) or not isinstance(content.get("variant"), str):
                raise ValueError("expected an object with the keys variant and shape")
            # older files have no key `layers`: the variant `copy` always had one layer
            shape = Shape(**{"layers": 1, **content["shape"]})
            shortlist = content.get("shortlist")
            if shortlist is not None:
                shortlist = _checked_shortlist(shortlist, shape.title_vocabulary)
            eight_bits = content.get("eight_bits", False)
            if not isinstance(eight_bits, bool):
                raise ValueError("eight_bits must be true or false")
            return cls(content["variant"], shape, shortlist, eight_bits)
        except (ValueError, KeyError, TypeError, RecursionError, TitlerError) as error:
            problem = error.message if isinstance(error, TitlerError) else str(error)
            raise LakeError(f"{directory / SHAPE_FILE} is damaged: {problem}", REPLACE_OR_RETRAIN) from None


def _checked_shortlist(ids: list[int], vocabulary: int) -> Ids:
    """Returns a stored shortlist as an array. Raises ValueError if `ids` is not a valid shortlist."""
    shortlist = np.array(ids, dtype=np.int32)
    is_ascending = shortlist.ndim == 1 and (np.diff(shortlist) > 0).all()
    if not is_ascending or shortlist[:2].tolist() != [PAD, UNKNOWN] or shortlist[-1] >= vocabulary:
        raise ValueError(
            f"the shortlist must be ascending ids below {vocabulary}, and begin with {PAD} and {UNKNOWN}"
        )
    return shortlist
