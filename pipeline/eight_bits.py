"""Vectors with 8 bits per number, and their products.

Modern processors have instructions that multiply such numbers several times as fast as numbers in single
precision. NumKong uses these instructions; NumPy does not. The products are sums of whole numbers. So
a product is the same on all processors, and does not depend on the other products that are computed with it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numkong
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]
LARGEST: Final = 127
"""Largest absolute value of a number with 8 bits."""
_SHORT: Final = np.float32(1e-20)
"""The smallest scale, so that a vector of zeros is not divided by 0."""


class Rounded(NamedTuple):
    """Vectors with 8 bits per number: `numbers` (n, size) times `scales` (n,)."""

    numbers: Bytes
    scales: Floats

    @classmethod
    def of(cls, vectors: Floats) -> Rounded:
        """Rounds vectors, shape (n, size). In each vector, the number with the largest absolute value becomes
        127 or -127."""
        scales = np.maximum(np.abs(vectors).max(axis=1) / np.float32(LARGEST), _SHORT)
        return cls(np.rint(vectors / scales[:, None]).astype(np.int8), scales)

    def errors(self, vectors: Floats) -> Floats:
        """Returns the distances, shape (n,), of the rounded vectors from the original `vectors`."""
        distances: Floats = np.linalg.norm(vectors - self.numbers * self.scales[:, None], axis=1)
        return distances


class RoundedRows:
    """Many rounded vectors, stored in the order in which NumKong reads their numbers. This takes about 8%
    more memory than `Rounded`."""

    def __init__(self, rounded: Rounded) -> None:
        self.scales = rounded.scales
        self._numbers = numkong.dots_pack(rounded.numbers)

    def __len__(self) -> int:
        return len(self.scales)

    def products(self, numbers: Bytes, out: Floats | None = None) -> Floats:
        """Returns the product of each of m given vectors with each of the n stored vectors, shape (m, n).

        `numbers` are the given vectors with 8 bits per number, shape (m, size). The products do not include
        the scales of the given vectors. `out` may be an array into which the result is written."""
        whole_numbers = np.asarray(numkong.dots_packed(numbers, self._numbers))
        products: Floats = np.multiply(
            whole_numbers, self.scales, out=out, dtype=np.float32, casting="unsafe"
        )
        return products
