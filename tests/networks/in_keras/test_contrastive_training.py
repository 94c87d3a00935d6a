"""Contrastive pre-training brings the vectors of a title and its body together."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest

from pipeline.networks.bag_of_units import vectors_of
from pipeline.networks.in_keras import Shape, build
from pipeline.networks.in_keras.contrastive_training import (
    PAIRS_PER_STEP,
    ContrastiveTraining,
    RowAdagrad,
    rebatched,
    take_table,
)
from pipeline.networks.in_keras.copy import Copy

SHAPE = Shape(60, 60, body_length=8, title_length=6, embedding_size=16, hidden_size=16)
SUBJECTS = np.random.default_rng(9).permutation(np.arange(4, 60)).reshape(28, 2)
"""28 subjects: for each the word that titles use, and the word that bodies use"""


def pairs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Issues of two subjects each. Bodies and titles have no words in common."""
    subjects = np.array(
        [np.random.default_rng([seed, issue]).choice(28, 2, replace=False) for issue in range(count)]
    )
    bodies, titles = np.zeros((count, 8), np.int32), np.zeros((count, 6), np.int32)
    bodies[:, :2], titles[:, 1:3] = SUBJECTS[subjects, 1], SUBJECTS[subjects, 0]
    titles[:, 0], titles[:, 3] = 2, 3
    return bodies, titles


def nearest_is_own(model: Copy) -> float:
    """The share of 100 unseen titles whose own body is the nearest of the 100 bodies."""
    bodies, titles = (vectors_of(np.asarray(model.table.embeddings), ids) for ids in pairs(100, seed=1))
    return float(np.mean((titles @ bodies.T).argmax(axis=1) == np.arange(100)))


def test_a_title_comes_near_its_body_even_without_common_words() -> None:
    model = build("copy", SHAPE, seed=1).model
    training, data = ContrastiveTraining(model), pairs(1500, seed=0)
    training.begin(iter([data]))
    accuracy_before = nearest_is_own(model)
    losses = [training.epoch(epoch, iter([data])).loss for epoch in range(1, 31)]
    assert losses[-1] < losses[0] / 3
    assert accuracy_before < 0.1
    assert nearest_is_own(model) > 0.5


def test_rows_are_first_scaled_by_the_inverse_document_frequency_of_their_unit() -> None:
    model = build("copy", SHAPE, seed=1).model
    initial = np.asarray(model.table.embeddings).copy()
    bodies = np.array([[5, 0, 0, 0, 0, 0, 0, 0]] * 3, np.int32)
    ContrastiveTraining(model).begin(iter([(bodies, np.zeros((3, 6), np.int32))]))
    factor = np.asarray(model.table.embeddings) / initial
    assert factor[5].tolist() == pytest.approx([1.0] * 16)  # in all 3 of 3 issues
    assert factor[6].tolist() == pytest.approx([1 + np.log(4)] * 16)  # in none


def test_at_the_end_units_get_the_directions_of_the_table_and_the_table_is_frozen() -> None:
    model = build("copy", SHAPE, seed=1).model
    ContrastiveTraining(model).finish()
    rows, units = (np.asarray(layer.embeddings) for layer in (model.table, model.units))
    centred = rows - rows.mean(axis=0)
    np.testing.assert_allclose(
        units / np.linalg.norm(units, axis=1)[:, None],
        centred / np.linalg.norm(centred, axis=1)[:, None],
        atol=1e-4,
    )
    assert np.sqrt((units**2).mean(axis=1)).tolist() == pytest.approx([0.05 / 3**0.5] * 60, rel=1e-4)
    assert all(variable is not model.table.embeddings for variable in model.trainable_variables)


def test_a_model_takes_the_table_of_another_model_instead_of_training_one() -> None:
    trained, model = (build("copy", SHAPE, seed=seed).model for seed in (1, 2))
    ContrastiveTraining(trained).finish()
    take_table(model, np.asarray(trained.table.embeddings))
    for layer in ("table", "units"):
        assert np.array_equal(getattr(model, layer).embeddings, getattr(trained, layer).embeddings)
    assert all(variable is not model.table.embeddings for variable in model.trainable_variables)


def test_batches_of_any_size_become_batches_of_one_size() -> None:
    numbers = np.arange(PAIRS_PER_STEP * 2 + 5, dtype=np.int32)[:, None]

    def batches(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return iter(
            [
                (numbers[first : first + size], -numbers[first : first + size])
                for first in range(0, len(numbers), size)
            ]
        )

    for size in (7, PAIRS_PER_STEP, 1000, 5000):
        steps = list(rebatched(batches(size)))
        assert [len(bodies) for bodies, _ in steps] == [PAIRS_PER_STEP, PAIRS_PER_STEP, 5]
        assert np.concatenate([bodies for bodies, _ in steps]).tolist() == numbers.tolist()
        assert all((bodies == -titles).all() for bodies, titles in steps)
    assert list(rebatched(iter([]))) == []


def test_the_step_of_a_row_is_divided_by_the_root_of_the_sum_of_its_squared_gradients() -> None:
    table = keras.Variable(np.zeros((2, 2), np.float32))
    optimizer = RowAdagrad(0.1)
    optimizer.build([table])
    for _ in range(2):
        optimizer.apply([keras.ops.convert_to_tensor(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))])
    root = (12.5**0.5, 25**0.5)  # the mean of 9 and 16 is accumulated once, then twice
    steps = [-0.1 * gradient * (1 / root[0] + 1 / root[1]) for gradient in (3, 4)]
    assert np.asarray(table).tolist() == [pytest.approx(steps), [0, 0]]
