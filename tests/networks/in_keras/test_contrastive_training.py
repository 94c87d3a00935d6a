"""The table learns which title belongs to which body."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest

from pipeline.networks.bag_of_units import vectors_of
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.in_keras.contrastive_training import PAIRS, Contrast, RowAdagrad, regrouped
from pipeline.networks.in_keras.copy import Copy

SHAPE = Shape(60, 60, body_length=8, title_length=6, embedding_size=16, hidden_size=16)
SUBJECTS = np.random.default_rng(9).permutation(np.arange(4, 60)).reshape(28, 2)
"""28 subjects: a word that titles use for each, and another that bodies use"""


def pairs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Issues of two subjects each. Bodies and titles have no word in common."""
    subjects = np.array(
        [np.random.default_rng([seed, issue]).choice(28, 2, replace=False) for issue in range(count)]
    )
    bodies, titles = np.zeros((count, 8), np.int32), np.zeros((count, 6), np.int32)
    bodies[:, :2], titles[:, 1:3] = SUBJECTS[subjects, 1], SUBJECTS[subjects, 0]
    titles[:, 0], titles[:, 3] = 2, 3
    return bodies, titles


def nearest_is_own(model: Copy) -> float:
    """The share of 100 titles not learned from whose own body is the nearest of the 100."""
    bodies, titles = (vectors_of(np.asarray(model.table.embeddings), ids) for ids in pairs(100, seed=1))
    return float(np.mean((titles @ bodies.T).argmax(axis=1) == np.arange(100)))


def test_titles_and_bodies_without_a_word_in_common_come_together() -> None:
    model = build("copy", SHAPE, seed=1).model
    contrast, data = Contrast(model), pairs(1500, seed=0)
    contrast.begin(iter([data]))
    before = nearest_is_own(model)
    losses = [contrast.epoch(epoch, iter([data])).loss for epoch in range(1, 31)]
    assert losses[-1] < losses[0] / 3
    assert before < 0.1
    assert nearest_is_own(model) > 0.5


def test_rows_begin_as_long_as_their_unit_is_rare() -> None:
    model = build("copy", SHAPE, seed=1).model
    first = np.asarray(model.table.embeddings).copy()
    bodies = np.array([[5, 0, 0, 0, 0, 0, 0, 0]] * 3, np.int32)
    Contrast(model).begin(iter([(bodies, np.zeros((3, 6), np.int32))]))
    grown = np.asarray(model.table.embeddings) / first
    assert grown[5].tolist() == pytest.approx([1.0] * 16)  # in all 3 of 3 issues
    assert grown[6].tolist() == pytest.approx([1 + np.log(4)] * 16)  # in none


def test_the_units_of_titles_begin_with_the_tables_directions_and_the_table_rests() -> None:
    model = build("copy", SHAPE, seed=1).model
    Contrast(model).finish()
    rows, units = (np.asarray(layer.embeddings) for layer in (model.table, model.units))
    centred = rows - rows.mean(axis=0)
    np.testing.assert_allclose(
        units / np.linalg.norm(units, axis=1)[:, None],
        centred / np.linalg.norm(centred, axis=1)[:, None],
        atol=1e-4,
    )
    assert np.sqrt((units**2).mean(axis=1)).tolist() == pytest.approx([0.05 / 3**0.5] * 60, rel=1e-4)
    assert all(variable is not model.table.embeddings for variable in model.trainable_variables)


def test_pairs_are_regrouped_whatever_the_batches_were() -> None:
    numbers = np.arange(PAIRS * 2 + 5, dtype=np.int32)[:, None]

    def batches(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return iter(
            [
                (numbers[first : first + size], -numbers[first : first + size])
                for first in range(0, len(numbers), size)
            ]
        )

    for size in (7, PAIRS, 1000, 5000):
        found = list(regrouped(batches(size)))
        assert [len(bodies) for bodies, _ in found] == [PAIRS, PAIRS, 5]
        assert np.concatenate([bodies for bodies, _ in found]).tolist() == numbers.tolist()
        assert all((bodies == -titles).all() for bodies, titles in found)
    assert list(regrouped(iter([]))) == []


def test_a_rows_step_is_divided_by_the_root_of_all_its_gradients_so_far() -> None:
    table = keras.Variable(np.zeros((2, 2), np.float32))
    optimizer = RowAdagrad(0.1)
    optimizer.build([table])
    for _ in range(2):
        optimizer.apply([keras.ops.convert_to_tensor(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))])
    root = (12.5**0.5, 25**0.5)  # of the mean of 9 and 16, once and twice
    steps = [-0.1 * gradient * (1 / root[0] + 1 / root[1]) for gradient in (3, 4)]
    assert np.asarray(table).tolist() == [pytest.approx(steps), [0, 0]]
