"""Computes the softmax, the logarithm of its denominator, and the logarithm of the logistic sigmoid.

The arrays may be large: the softmax is computed in place, and its denominator in chunks of rows.
"""

from __future__ import annotations

import numpy as np

from pipeline.networks.shape import Floats

ROWS_PER_CHUNK = 32
"""Number of rows computed together, so that a chunk of 8,000 columns stays in a core's cache."""


def softmax(x: Floats) -> None:
    """Computes the softmax over the last axis of `x`, in place."""
    x -= x.max(axis=-1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=-1, keepdims=True)


def log_sum_exp(x: Floats) -> Floats:
    """Returns ln(sum(exp(row))) of each row of `x` (n, m), as an array (n,)."""
    result = np.empty(len(x), np.float32)
    for first in range(0, len(x), ROWS_PER_CHUNK):
        chunk = x[first : first + ROWS_PER_CHUNK]
        highest = chunk.max(axis=1)
        powers = chunk - highest[:, None]
        np.exp(powers, out=powers)
        result[first : first + ROWS_PER_CHUNK] = np.log(powers.sum(axis=1)) + highest
    return result


def log_sigmoid(x: Floats) -> Floats:
    """Computes ln(1 / (1 + exp(-x))) elementwise, without overflow."""
    return -np.logaddexp(np.float32(0), -x)
