"""Converts NumPy matrices to Arrow columns of equally long lists, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def list_column(matrix: npt.NDArray[Any]) -> pa.ListArray:
    """Converts a matrix (n, length) to an Arrow column of n lists. Each row of the matrix becomes one
    list."""
    rows, length = matrix.shape
    return pa.ListArray.from_arrays(
        pa.array(np.arange(rows + 1, dtype=np.int32) * length), pa.array(matrix.reshape(-1))
    )


def list_matrix(column: pa.ChunkedArray, length: int) -> npt.NDArray[Any]:
    """Converts an Arrow column of n lists to a matrix (n, length). Each list must have `length` numbers."""
    values = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(values).reshape(-1, length) if values else np.zeros((0, length), dtype=np.int32)
