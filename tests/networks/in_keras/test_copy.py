"""The variant `copy`: its probabilities, its handling of padding, and that it learns to copy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.networks.in_keras import Network, Shape, build
from pipeline.networks.in_keras.copy import teacher_forcing
from pipeline.networks.in_keras.training import History, fit
from tests.support.checkpoint_folder import CheckpointFolder

SHAPE = Shape(30, 30, body_length=40, title_length=6, embedding_size=16, hidden_size=16)
START, END, MARK = 2, 3, 4
Batch = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def random_network() -> Network:
    """A network whose weights are all random, so that no term of the formulas is hidden by a 0."""
    network = build("copy", SHAPE, seed=3)
    rng = np.random.default_rng(3)
    network.model.set_weights([rng.normal(0, 0.7, weight.shape) for weight in network.model.get_weights()])
    return network


def bodies(count: int, width: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 12, (count, width))  # few units, so that bodies repeat units
    return np.where(np.arange(width) < rng.integers(1, width + 1, (count, 1)), ids, 0).astype(np.int32)


def decoder_log_probabilities(network: Network, bodies: np.ndarray, title: list[int]) -> np.ndarray:
    """log p (B, T, units) of the next unit after each unit of the title, computed step by step."""
    memory, state = network.model.begin(bodies)
    logs, state = [], state[:, None]
    for unit in title:
        log, state = network.model.step(memory, state, np.full((len(bodies), 1), unit, np.int32))
        logs.append(np.asarray(log)[:, 0])
    return np.stack(logs, axis=1)


def test_a_seed_gives_the_weights_of_earlier_versions() -> None:
    matrices = {
        weight.path: float(np.ravel(weight)[0])
        for weight in build("copy", SHAPE, seed=1).model.trainable_variables
        if weight.ndim == 2 and not weight.path.endswith("bias")
    }
    assert matrices == pytest.approx(
        {
            "copy/units/embeddings": -0.0241,
            "copy/reader/forward_half/gru_cell/kernel": -0.1748,
            "copy/reader/forward_half/gru_cell/recurrent_kernel": -0.1338,
            "copy/reader/backward_half/gru_cell/kernel": -0.0597,
            "copy/reader/backward_half/gru_cell/recurrent_kernel": 0.2875,
            "copy/rereader/forward_upper_half/gru_cell/kernel": 0.2473,
            "copy/rereader/forward_upper_half/gru_cell/recurrent_kernel": -0.107,
            "copy/rereader/backward_upper_half/gru_cell/kernel": -0.2142,
            "copy/rereader/backward_upper_half/gru_cell/recurrent_kernel": -0.1117,
            "copy/bridge/kernel": -0.1317,
            "copy/writer/gru_cell/kernel": 0.2462,
            "copy/writer/gru_cell/recurrent_kernel": 0.1075,
            "copy/keys/kernel": -0.1131,
            "copy/combine/kernel": -0.2321,
            "copy/project/kernel": -0.3708,
            "copy/gate/kernel": 0.0966,
        },
        abs=1e-4,
    )


def test_the_probabilities_of_all_units_add_up_to_one(random_network: Network) -> None:
    (logs,) = decoder_log_probabilities(random_network, bodies(1), [START, 7, 5])
    assert np.exp(logs).sum(axis=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_teacher_forcing_computes_the_same_probabilities_as_decoding_step_by_step(
    random_network: Network,
) -> None:
    issues = bodies(6)
    titles = np.array([[START, 5, 20, 8, END, 0]] * 6, np.int32)
    (batch,) = teacher_forcing(random_network.model).training_batches(iter([(issues, titles)]))
    predictions = np.asarray(random_network.model(batch.inputs))[: batch.tokens].reshape(6, 4, 2)
    order = [
        int(np.flatnonzero((issues == np.pad(body, (0, 40 - len(body)))).all(axis=1))[0])
        for body in batch.inputs[0]
    ]
    assert sorted(order) == [0, 1, 2, 3, 4, 5]
    logs = decoder_log_probabilities(random_network, issues[order], [START, 5, 20, 8])
    of_targets = np.stack([logs[:, position, unit] for position, unit in enumerate((5, 20, 8, END))], axis=1)
    np.testing.assert_allclose(predictions[:, :, 0], of_targets, rtol=1e-4)
    np.testing.assert_allclose(predictions[:, :, 1], logs.max(axis=2), rtol=1e-4)


def test_padding_behind_a_body_does_not_change_the_probabilities(random_network: Network) -> None:
    short = bodies(1, width=30)
    padded = np.pad(short, ((0, 0), (0, 10)))
    title = [START, 5, 9]
    np.testing.assert_allclose(
        decoder_log_probabilities(random_network, short, title),
        decoder_log_probabilities(random_network, padded, title),
        atol=1e-5,
    )


def test_the_title_of_an_issue_does_not_depend_on_the_rest_of_its_batch(random_network: Network) -> None:
    batch = bodies(30)
    all_titles = random_network.decode(batch, START, END)
    titles = random_network.decode(batch[:9], START, END, batch_size=7)
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, History]:
    """A network that was trained for six epochs on MarkedUnitTask."""
    network = build(
        "copy", Shape(30, 30, body_length=20, title_length=4, embedding_size=32, hidden_size=32), seed=1
    )
    history = fit(
        network,
        MarkedUnitTask(800, seed=0),
        MarkedUnitTask(64, seed=1),
        epochs=6,
        learning_rate=0.01,
        patience=6,
        checkpoint=CheckpointFolder(tmp_path_factory.mktemp("trained")),
        on_epoch=print,
        seed=1,
        contrast_epochs=1,
    )
    return network, history


def test_the_network_learns_to_copy_the_unit_after_a_mark(trained: tuple[Network, History]) -> None:
    unseen = MarkedUnitTask(100, seed=2)
    decoded = trained[0].decode(unseen.bodies, START, END)
    assert np.mean((decoded.ids[:, :2] == unseen.titles[:, 1:3]).all(axis=1)) > 0.9


def test_the_learning_rate_decays_linearly_over_the_epochs(
    trained: tuple[Network, History],
) -> None:
    losses = [epoch.validation_loss for epoch in trained[1]]
    assert losses == sorted(losses, reverse=True)  # otherwise the learning rate would also be halved
    assert [epoch.learning_rate for epoch in trained[1]] == pytest.approx(
        [0.01 * share / 12 for share in (11, 9, 7, 5, 3, 1)]
    )


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
