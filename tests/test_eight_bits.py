"""Vectors with 8 bits per number: how they are rounded, and their products."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.eight_bits import Rounded, RoundedRows

VECTORS = np.array([[1.27, -0.64, 0.0], [0.0, 2.0, -2.0], [0.0, 0.0, 0.0]], np.float32)


def test_the_largest_number_of_a_vector_becomes_127() -> None:
    rounded = Rounded.of(VECTORS)
    assert rounded.numbers.tolist() == [[127, -64, 0], [0, 127, -127], [0, 0, 0]]
    assert rounded.scales[:2].tolist() == pytest.approx([0.01, 2 / 127])


def test_an_error_is_the_distance_of_the_rounded_vector() -> None:
    vectors = np.array([[1.27, 0.014, -0.003]], np.float32)
    rounded = Rounded.of(vectors)
    assert rounded.numbers.tolist() == [[127, 1, 0]]
    assert rounded.errors(vectors).tolist() == pytest.approx([0.005], rel=1e-3)


def test_a_product_is_that_of_the_numbers_times_the_scale_of_the_row() -> None:
    rows = RoundedRows(Rounded.of(VECTORS))
    numbers = np.array([[1, 2, 3], [127, 127, -127]], np.int8)
    assert len(rows) == 3
    assert rows.products(numbers) == pytest.approx(
        np.array([[-0.01, -127 * 2 / 127, 0], [80.01, 254 * 127 * 2 / 127, 0]]), rel=1e-6
    )


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (5, 31), (64, 64), (33, 300)])
def test_products_are_exact_for_any_number_of_vectors(rows: int, size: int) -> None:
    random = np.random.default_rng(rows)
    stored, numbers = random.integers(-127, 128, (2, rows, size)).astype(np.int8)
    products = RoundedRows(Rounded(stored, np.ones(rows, np.float32))).products(numbers)
    assert products.tolist() == (numbers.astype(np.int64) @ stored.T.astype(np.int64)).tolist()
    out = np.empty((rows, rows), np.float32)
    assert RoundedRows(Rounded(stored, np.ones(rows, np.float32))).products(numbers, out) is out
