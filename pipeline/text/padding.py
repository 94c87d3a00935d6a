"""Converts documents of different lengths to one array of ids, by padding or cutting them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.networks.shape import PAD

Padding = Literal["pre", "post"]
"""The side on which a document is padded, in Keras's terms: "pre" is in front, "post" is at the end."""


def pad(documents: Iterable[Sequence[int]], count: int, length: int, side: Padding) -> npt.NDArray[np.int32]:
    """Returns the ids of `count` documents as an array (count, length).

    A longer document is cut at the end. A shorter document is padded with PAD: in front if `side` is "pre",
    at the end if `side` is "post".
    """
    array = np.full((count, length), PAD, dtype=np.int32)
    for row, document in zip(array, documents, strict=True):
        ids = document[:length]
        begin = length - len(ids) if side == "pre" else 0
        row[begin : begin + len(ids)] = ids
    return array
