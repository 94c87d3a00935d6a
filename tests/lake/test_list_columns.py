"""Conversion of NumPy matrices to Arrow columns of lists, and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.lake.list_columns import list_column, list_matrix


def test_a_matrix_becomes_a_column_of_lists() -> None:
    assert list_column(np.array([[1, 2], [3, 4], [5, 6]])).to_pylist() == [[1, 2], [3, 4], [5, 6]]


def test_a_column_of_several_chunks_becomes_one_matrix() -> None:
    ids = np.arange(12, dtype=np.int32).reshape(3, 4)
    column = pa.chunked_array([list_column(ids[:2]), list_column(ids[2:])])
    assert list_matrix(column, 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_a_slice_of_a_column_becomes_a_matrix_of_the_sliced_rows() -> None:
    column = pa.chunked_array([list_column(np.arange(8).reshape(4, 2))]).slice(1, 2)
    assert list_matrix(column, 2).tolist() == [[2, 3], [4, 5]]


def test_a_column_without_rows_becomes_a_matrix_with_the_given_number_of_columns() -> None:
    assert list_matrix(pa.chunked_array([], pa.list_(pa.int32())), 4).shape == (0, 4)
