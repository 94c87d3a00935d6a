"""The search in NumPy: choosing the best extensions. `tests/networks/in_keras/test_beam_search.py` tests the
rest of it."""

import numpy as np
import pytest

from pipeline.networks.in_numpy.beam_search import BLOCK_SIZE, _best_extensions


@pytest.mark.parametrize("vocabulary", [7, BLOCK_SIZE, 3 * BLOCK_SIZE + 5])
def test_the_best_extensions_are_the_highest_of_all_sums(vocabulary: int) -> None:
    rng = np.random.default_rng(0)
    base, scores = (rng.normal(0, 1, shape).astype(np.float32) for shape in [(20, 3), (20, 3, vocabulary)])
    sums, parent, token = _best_extensions(base, scores, 6)
    all_sums = (base[:, :, None] + scores).reshape(20, -1)
    highest = np.argsort(-all_sums, axis=1)[:, :6]
    assert (parent * vocabulary + token).tolist() == highest.tolist()
    assert sums.tolist() == np.take_along_axis(all_sums, highest, axis=1).tolist()


def test_there_are_fewer_extensions_if_the_vocabulary_is_small() -> None:
    scores = np.array([[[0.0, 2.0, 1.0]]], np.float32)
    sums, parent, token = _best_extensions(np.array([[-5.0]], np.float32), scores, 8)
    assert (sums.tolist(), parent.tolist(), token.tolist()) == ([[-3, -4, -5]], [[0, 0, 0]], [[1, 2, 0]])
