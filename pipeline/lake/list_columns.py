"""Arrow columns of equally long lists, as NumPy matrices and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def list_column(matrix: npt.NDArray[Any]) -> pa.ListArray:
    """An (n, length) array as a column of n lists."""
    rows, length = matrix.shape
    return pa.ListArray.from_arrays(
        pa.array(np.arange(rows + 1, dtype=np.int32) * length), pa.array(matrix.reshape(-1))
    )


def list_matrix(column: pa.ChunkedArray, length: int) -> npt.NDArray[Any]:
    """A column of n lists of `length` numbers as an (n, length) array."""
    values = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(values).reshape(-1, length) if values else np.zeros((0, length), dtype=np.int32)
