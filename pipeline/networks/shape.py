"""A network from outside: its sizes, the file that tells them, the ids that go in and the titles that come out.

Knows no library of networks: what trains a network (`pipeline.networks.in_keras`) and what only runs one (`pipeline.networks.in_numpy.network`) share it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError, TitlerError, UsageError

PAD = 0
UNKNOWN = 1
BATCH_SIZE = 512
WEIGHTS = "network.keras"
SHAPE = "shape.json"
AGAIN = "Take the model's files whole, or train again:  titler train MODEL"

Unit = Literal["words", "subwords"]
UNITS: Mapping[str, Unit] = MappingProxyType({"gru": "words", "gru_cudnn": "words", "copy": "subwords"})
"""What an id stands for, by the network's variant."""
NEAR_DUPLICATES: Mapping[str, float] = MappingProxyType({"gru": 0.35, "gru_cudnn": 0.35, "copy": 0.7})
"""Angular distance under which an embedding of the variant tells of a near-duplicate. Copy's vectors lie far apart: of 15,815 issues of
rust-lang/rust a twentieth have an older one under 0.7, mostly the same failure reported again, and of those from 0.75 on few do."""

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


def units_of(variant: str) -> Unit:
    """What the ids that a variant reads and writes stand for. Raises UsageError for a variant that there is not."""
    if variant not in UNITS:
        raise UsageError(
            f"{variant!r} is no variant of the network.", f"Set model.variant to one of: {', '.join(UNITS)}"
        )
    return UNITS[variant]


@dataclass(frozen=True)
class Shape:
    """What fixes a network's parameters. The defaults are the article's; its vocabularies had 8,002 and 4,502 ids.

    Raises UsageError for a size that is no positive number.
    """

    body_vocabulary: int
    """ids a body may hold: 0 pads, 1 is unknown, then words or units"""
    title_vocabulary: int
    """ids a title may hold, likewise"""
    body_length: int = 70
    """ids a body"""
    title_length: int = 12
    """ids a title, _start_ and _end_ included"""
    embedding_size: int = 300
    """numbers a word or a unit"""
    hidden_size: int = 300
    """numbers an issue: the embedding"""
    layers: int = 2
    """that read a body, in `copy`: 1 or 2"""

    def __post_init__(self) -> None:
        for field in fields(self):
            size = getattr(self, field.name)
            if not isinstance(size, int) or size < 1:
                raise UsageError(f"{field.name} = {size!r}: a network's sizes are whole numbers from 1.")

    @property
    def steps(self) -> int:
        """Tokens the decoder writes at most: a title without its _start_."""
        return self.title_length - 1

    def checked(self, body_ids: npt.ArrayLike) -> Ids:
        """Bodies as (n, body_length) int32. Raises UsageError for another shape and for ids that the network does not know."""
        ids = np.asarray(body_ids, dtype=np.int32)
        if ids.ndim != 2 or ids.shape[1] != self.body_length:
            raise UsageError(f"Bodies of shape {ids.shape}; this network reads (n, {self.body_length}) ids.")
        if ids.size and not 0 <= ids.min() <= ids.max() < self.body_vocabulary:
            raise UsageError(
                f"Ids from {ids.min()} to {ids.max()}; this network knows 0 to {self.body_vocabulary - 1}.",
                "Use the vocabulary that travels with the model.",
            )
        return ids

    def checked_titles(self, title_ids: npt.ArrayLike, bodies: int) -> Ids:
        """Titles as (bodies, title_length) int32. Raises UsageError for another shape and for ids that the network does not know."""
        ids = np.asarray(title_ids, dtype=np.int32)
        if ids.shape != (bodies, self.title_length):
            raise UsageError(
                f"Titles of shape {ids.shape}; to {bodies} bodies this network reads ({bodies}, {self.title_length}) ids."
            )
        if ids.size and not 0 <= ids.min() <= ids.max() < self.title_vocabulary:
            raise UsageError(
                f"Ids from {ids.min()} to {ids.max()}; this network knows 0 to {self.title_vocabulary - 1}.",
                "Use the vocabulary that travels with the model.",
            )
        return ids

    def no_titles(self) -> Decoded:
        """What decoding gives for no bodies at all."""
        none = np.zeros((0,), np.int32)
        states = np.zeros((0, self.hidden_size), np.float32)
        return Decoded(np.zeros((0, self.steps), np.int32), none, none.astype(np.float32), states)


@dataclass(frozen=True)
class Decoded:
    """Titles of n issues as ids."""

    ids: Ids
    """(n, shape.steps): the title's tokens, then _end_ where there was room for it, then 0"""
    lengths: Ids
    """(n,): tokens before _end_"""
    log_probability: Floats
    """(n,): mean natural logarithm of the probabilities of the tokens, _end_ included"""
    states: Floats
    """(n, hidden_size): the issue's embedding, by its body alone"""


def write_about(directory: Path, variant: str, shape: Shape) -> None:
    """Writes shape.json."""
    about = {"variant": variant, "shape": asdict(shape)}
    (directory / SHAPE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def read_about(directory: Path) -> tuple[str, Shape]:
    """The variant and the shape of the network in a folder. Raises LakeError where one of its files is missing or shape.json is damaged."""
    for name in (SHAPE, WEIGHTS):
        if not (directory / name).is_file():
            raise LakeError(f"{directory / name} is missing.", AGAIN)
    try:
        about = json.loads((directory / SHAPE).read_text(encoding="utf-8"))
        return str(about["variant"]), Shape(
            **{"layers": 1, **about["shape"]}
        )  # files of before there were two do not say
    except (ValueError, KeyError, TypeError, TitlerError) as error:
        raise LakeError(f"{directory / SHAPE} is damaged: {error}", AGAIN) from None
