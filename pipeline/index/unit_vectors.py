"""Converts stored vectors, which have half precision, to unit vectors in single precision.

A number has the same fields of bits (sign, exponent and fraction) in half and in single precision, but at
different positions. The stored exponent is smaller by 112 in half precision. Three integer operations move
the fields of all numbers of a vector. The result is exact, except that it has to be multiplied by 2^112. This
takes no extra time: the vector is divided by its length anyway, and both are done in one multiplication.
NumPy's conversion takes twice as long.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.index.release_days import EmbeddingMatrix

Vectors = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.float32]
VECTORS_PER_BLOCK: Final = 512
"""Number of vectors that are converted together, so that they stay in a core's cache."""
_FRACTION_BITS: Final = 23 - 10
"""A fraction has 10 bits in half precision, and 23 bits in single precision."""
_BITS_USED: Final = np.array(0x8FFFE000, np.uint32).view(np.int32)
"""The bits of a shifted number: sign, exponent and fraction. The other bits repeat the sign."""
_EXPONENT: Final = np.float32(2.0 ** (127 - 15))
_SHORT: Final = np.float32(2.0**-15)
"""2^112 divided by a smaller length is too large for single precision."""
Rows = slice | npt.NDArray[np.int64]
"""Some rows of an array."""


def unit_vectors(vectors: EmbeddingMatrix, lengths: Lengths) -> Vectors:
    """Divides vectors, shape (n, size), by their lengths, shape (n,). Returns the results."""
    result = _shifted(vectors)
    result *= (_EXPONENT / np.maximum(lengths, _SHORT))[:, None]
    is_short = lengths < _SHORT
    if is_short.any():
        result[is_short] *= (_SHORT / lengths[is_short])[:, None]
    return result


def lengths_of(vectors: EmbeddingMatrix) -> Lengths:
    """Returns the Euclidean length of each vector, shape (n,)."""
    lengths = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), VECTORS_PER_BLOCK):
        own = slice(start, start + VECTORS_PER_BLOCK)
        block = _shifted(vectors[own])
        block *= _EXPONENT
        np.sqrt(np.einsum("ij,ij->i", block, block), out=lengths[own])
    return lengths


def rows_of(items: npt.NDArray[np.int64]) -> Rows:
    """Returns the positions as a slice if they are consecutive. Otherwise returns them unchanged.

    An array that is indexed with a slice is not copied. There must be at least one position.
    """
    is_consecutive = items[-1] - items[0] == len(items) - 1 and bool(np.all(np.diff(items) == 1))
    return slice(items[0], items[-1] + 1) if is_consecutive else items


def _shifted(vectors: EmbeddingMatrix) -> Vectors:
    """Returns the vectors in single precision, divided by 2^112."""
    bits = np.ascontiguousarray(vectors).view(np.int16).astype(np.int32)
    bits <<= _FRACTION_BITS
    bits &= _BITS_USED
    return bits.view(np.float32)
