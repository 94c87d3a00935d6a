"""The conversion of stored vectors to unit vectors."""

import numpy as np

from pipeline.index.unit_vectors import lengths_of, unit_vectors


def test_every_finite_number_in_half_precision_is_converted_exactly():
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = numbers[np.isfinite(numbers)][:, None]
    converted = unit_vectors(finite, np.ones(len(finite), np.float32))
    assert converted.tolist() == finite.tolist()


def test_vectors_get_the_length_1():
    vectors = np.array([[3, 4], [0, -0.5]], np.float16)
    assert lengths_of(vectors).tolist() == [5, 0.5]
    unit = unit_vectors(vectors, lengths_of(vectors))
    assert np.allclose(unit, np.array([[0.6, 0.8], [0.0, -1.0]]), rtol=1e-6)


def test_the_shortest_vectors_get_the_length_1_too():
    shortest = np.array([[2.0**-24, 0], [0, -(2.0**-17)]], np.float16)
    assert unit_vectors(shortest, lengths_of(shortest)).tolist() == [[1, 0], [0, -1]]
