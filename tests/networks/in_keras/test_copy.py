"""The variant `copy`: its probabilities, its handling of padding, and that it learns to copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.networks.in_keras import Network, Shape, build
from pipeline.networks.in_keras.copy import teacher_forcing
from pipeline.networks.in_keras.training import fit
from tests.support.checkpoint_folder import CheckpointFolder

SHAPE = Shape(30, 30, body_length=40, title_length=6, embedding_size=16, hidden_size=16)
START, END, MARK = 2, 3, 4
Batch = tuple[np.ndarray, np.ndarray]


def random_network(seed: int = 3) -> Network:
    """All weights are random, so that no term of the formulas is hidden by a 0."""
    network = build("copy", SHAPE, seed=seed)
    rng = np.random.default_rng(seed)
    network.model.set_weights([rng.normal(0, 0.7, weight.shape) for weight in network.model.get_weights()])
    return network


def bodies(count: int, width: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 12, (count, width))  # few units, so that bodies repeat units
    return np.where(np.arange(width) < rng.integers(1, width + 1, (count, 1)), ids, 0).astype(np.int32)


def decoder_log_probabilities(network: Network, body: np.ndarray, title: list[int]) -> np.ndarray:
    """log p (T, units) of the next unit after each unit of the title, computed step by step."""
    memory, state = network.model.begin(body[None])
    logs, state = [], state[:, None]
    for unit in title:
        log, state = network.model.step(memory, state, np.array([[unit]], np.int32))
        logs.append(np.asarray(log)[0, 0])
    return np.array(logs)


def test_the_probabilities_of_all_units_add_up_to_one() -> None:
    logs = decoder_log_probabilities(random_network(), bodies(1)[0], [START, 7, 5])
    assert np.exp(logs).sum(axis=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_teacher_forcing_computes_the_same_probabilities_as_decoding_step_by_step() -> None:
    network, titles = random_network(), np.array([[START, 5, 20, 8, END, 0]] * 6, np.int32)
    (batch,) = teacher_forcing(network.model).training_batches(iter([(bodies(6), titles)]))
    predictions = np.asarray(network.model(batch.inputs))[: batch.tokens].reshape(6, 4, 2)
    order = [
        int(np.flatnonzero((bodies(6) == np.pad(body, (0, 40 - len(body)))).all(axis=1))[0])
        for body in batch.inputs[0]
    ]
    for row, issue in enumerate(order):
        logs = decoder_log_probabilities(network, bodies(6)[issue], [START, 5, 20, 8])
        assert predictions[row, :, 0].tolist() == pytest.approx(
            [logs[position, unit] for position, unit in enumerate((5, 20, 8, END))], rel=1e-4
        )
        assert predictions[row, :, 1].tolist() == pytest.approx(logs.max(axis=1).tolist(), rel=1e-4)


def test_padding_behind_a_body_does_not_change_the_probabilities() -> None:
    network, body = random_network(), bodies(1, width=30)[0]
    short, padded = (
        decoder_log_probabilities(network, np.pad(body, (0, padding)), [START, 5, 9]) for padding in (0, 10)
    )
    np.testing.assert_allclose(short, padded, atol=1e-5)


def test_the_title_of_an_issue_does_not_depend_on_the_rest_of_its_batch() -> None:
    network, batch = random_network(), bodies(30)
    all_titles = network.decode(batch, START, END)
    for batch_size in (1, 7):
        titles = network.decode(batch[:9], START, END, batch_size)
        assert titles.ids.tolist() == all_titles.ids[:9].tolist()
        np.testing.assert_allclose(titles.log_probability, all_titles.log_probability[:9], atol=1e-4)


def test_the_loss_is_the_mean_over_tokens() -> None:
    titles = np.array([[START, 5, END, 0, 0, 0], [START, 6, 7, 8, 9, END]], np.int32)
    (batch,) = teacher_forcing(build("copy", SHAPE, seed=1).model).training_batches(
        iter([(bodies(2), titles)])
    )
    assert (batch.tokens, batch.issues, sorted(batch.targets[:7, 0].tolist())) == (
        7,
        2,
        [3, 3, 5, 6, 7, 8, 9],
    )
    assert set(batch.targets[7:, 0].tolist()) == {0}


class MarkedUnitTask:
    """Bodies of 8 to 12 units; the title is the unit that follows a mark."""

    def __init__(self, issues: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.bodies = np.zeros((issues, 20), np.int32)
        self.titles = np.zeros((issues, 4), np.int32)
        for body, title in zip(self.bodies, self.titles, strict=True):
            length = rng.integers(8, 13)
            body[:length] = rng.integers(5, 30, length)
            position = rng.integers(0, length - 1)
            body[position] = MARK
            title[:3] = START, body[position + 1], END

    def __call__(self, epoch: int) -> Iterator[Batch]:
        order = np.random.default_rng(epoch).permutation(len(self.bodies))
        return (
            (self.bodies[order[first : first + 32]], self.titles[order[first : first + 32]])
            for first in range(0, len(order), 32)
        )


def test_the_network_learns_to_copy_the_unit_after_a_mark(tmp_path: Path) -> None:
    network = build(
        "copy", Shape(30, 30, body_length=20, title_length=4, embedding_size=32, hidden_size=32), seed=1
    )
    fit(network, MarkedUnitTask(1600, seed=0), MarkedUnitTask(64, seed=1), epochs=3, learning_rate=0.01,
        patience=3, checkpoint=CheckpointFolder(tmp_path), on_epoch=print, seed=1,
        contrast_epochs=1)  # fmt: skip
    unseen = MarkedUnitTask(100, seed=2)
    decoded = network.decode(unseen.bodies, START, END)
    assert np.mean((decoded.ids[:, :2] == unseen.titles[:, 1:3]).all(axis=1)) > 0.9


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Shape(30, 31, embedding_size=8, hidden_size=8), "30 ids and the vocabulary of titles has 31"),
        (Shape(30, 30, embedding_size=6, hidden_size=8), "embedding_size = 6 and model.hidden_size = 8"),
        (Shape(30, 30, embedding_size=7, hidden_size=7), "the same even number"),
    ],
)
def test_unsupported_sizes_are_refused(shape: Shape, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build("copy", shape, seed=1)


@pytest.mark.parametrize(
    ("titles", "message"),
    [
        (np.zeros((1, 6)), r"\(1, 6\), but for 2 bodies .* \(2, 6\)"),
        (np.full((2, 6), 30), "vocabulary of this network has the ids 0 to 29"),
    ],
)
def test_titles_that_do_not_fit_the_shape_are_refused(titles: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build("copy", SHAPE, seed=1).encode(bodies(2), title_ids=titles)
