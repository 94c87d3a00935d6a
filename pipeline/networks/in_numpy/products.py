"""Multiplies states by matrices of weights, in single precision or with 8 bits per number.

With 8 bits, weights and states are rounded. The weights of a column become multiples of 1/127 of the largest
number in the column. The numbers of a state become multiples of 1/127 of the largest number that a state can
have. This largest number is known: the states of a GRU are between -1 and 1, so the sum of the states of n
GRUs is between -n and n. The rounding changes a product by about 1% of its usual size. This is the scheme of
Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2.1, with the zero point 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.eight_bits import LARGEST, Rounded, RoundedRows
from pipeline.networks.shape import Floats

Product = Callable[[Floats], Floats]
"""A function that multiplies states (n, size) by weights (size, columns), and returns the products
(n, columns)."""


def product(kernel: Floats, limit: float | None) -> Product:
    """Returns a function that multiplies states (n, size) by the weights `kernel` (size, columns).

    If `limit` is None, the products are computed in single precision. Otherwise 8 bits per number are used,
    and `limit` is the largest absolute number that a state can have.
    """
    return _SinglePrecision(kernel) if limit is None else _EightBits(kernel, limit)


class _SinglePrecision:
    def __init__(self, kernel: Floats) -> None:
        self._kernel = kernel

    def __call__(self, states: Floats) -> Floats:
        return states @ self._kernel


class _EightBits:
    def __init__(self, kernel: Floats, limit: float) -> None:
        columns = Rounded.of(np.ascontiguousarray(kernel.T))
        self._columns = RoundedRows(Rounded(columns.numbers, columns.scales * np.float32(limit / LARGEST)))
        self._steps = np.float32(LARGEST / limit)

    def __call__(self, states: Floats) -> Floats:
        steps = states * self._steps
        np.rint(steps, out=steps)
        return self._columns.products(steps.astype(np.int8))
