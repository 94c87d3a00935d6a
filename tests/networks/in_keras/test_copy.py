"""The network that copies: its mixture by hand, what it passes over, and that it learns to copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.networks.in_keras import Network, Shape, build
from pipeline.networks.in_keras.copy import lesson
from pipeline.networks.in_keras.training import fit

SHAPE = Shape(30, 30, body_length=40, title_length=6, embedding_size=16, hidden_size=16)
START, END, MARK = 2, 3, 4
Batch = tuple[np.ndarray, np.ndarray]


def shaken(seed: int = 3) -> Network:
    network = build("copy", SHAPE, seed=seed)
    rng = np.random.default_rng(seed)
    network.model.set_weights([rng.normal(0, 0.7, weight.shape) for weight in network.model.get_weights()])
    return network


def bodies(count: int, width: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 12, (count, width))  # few units, so that bodies repeat theirs
    return np.where(np.arange(width) < rng.integers(1, width + 1, (count, 1)), ids, 0).astype(np.int32)


def step_by_step(network: Network, body: np.ndarray, title: list[int]) -> np.ndarray:
    """log p (T, words) of the unit behind each of a title's, one after the other."""
    memory, state = network.model.begin(body[None])
    logs, state = [], state[:, None]
    for unit in title:
        log, state = network.model.step(memory, state, np.array([[unit]], np.int32))
        logs.append(np.asarray(log)[0, 0])
    return np.array(logs)


def test_the_probabilities_of_all_units_add_up_to_one() -> None:
    logs = step_by_step(shaken(), bodies(1)[0], [START, 7, 5])
    assert np.exp(logs).sum(axis=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_teacher_forcing_knows_the_likelihoods_that_writing_word_by_word_does() -> None:
    network, told = shaken(), np.array([[START, 5, 20, 8, END, 0]] * 6, np.int32)
    (batch,) = lesson(network.model).batches(iter([(bodies(6), told)]))
    found = np.asarray(network.model(batch.inputs))[: batch.tokens].reshape(6, 4, 2)
    order = [
        int(np.flatnonzero((bodies(6) == np.pad(body, (0, 40 - len(body)))).all(axis=1))[0])
        for body in batch.inputs[0]
    ]
    for row, issue in enumerate(order):
        logs = step_by_step(network, bodies(6)[issue], [START, 5, 20, 8])
        assert found[row, :, 0].tolist() == pytest.approx(
            [logs[place, unit] for place, unit in enumerate((5, 20, 8, END))], rel=1e-4
        )
        assert found[row, :, 1].tolist() == pytest.approx(logs.max(axis=1).tolist(), rel=1e-4)


def test_padding_behind_a_body_changes_nothing() -> None:
    network, body = shaken(), bodies(1, width=30)[0]
    short, padded = (step_by_step(network, np.pad(body, (0, spare)), [START, 5, 9]) for spare in (0, 10))
    np.testing.assert_allclose(short, padded, atol=1e-5)


def test_an_issue_is_titled_the_same_whatever_stands_beside_it() -> None:
    network, many = shaken(), bodies(30)
    everything = network.decode(many, START, END)
    for batch_size in (1, 7):
        some = network.decode(many[:9], START, END, batch_size)
        assert some.ids.tolist() == everything.ids[:9].tolist()
        np.testing.assert_allclose(some.log_probability, everything.log_probability[:9], atol=1e-4)


def test_the_loss_is_the_mean_over_tokens() -> None:
    titles = np.array([[START, 5, END, 0, 0, 0], [START, 6, 7, 8, 9, END]], np.int32)
    (batch,) = lesson(build("copy", SHAPE, seed=1).model).batches(iter([(bodies(2), titles)]))
    assert (batch.tokens, batch.issues, sorted(batch.targets[:7, 0].tolist())) == (
        7,
        2,
        [3, 3, 5, 6, 7, 8, 9],
    )
    assert set(batch.targets[7:, 0].tolist()) == {0}


class Marked:
    """Bodies of 8 to 12 units in which a mark stands before the one that is the title."""

    def __init__(self, issues: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.bodies = np.zeros((issues, 20), np.int32)
        self.titles = np.zeros((issues, 4), np.int32)
        for body, title in zip(self.bodies, self.titles, strict=True):
            length = rng.integers(8, 13)
            body[:length] = rng.integers(5, 30, length)
            place = rng.integers(0, length - 1)
            body[place] = MARK
            title[:3] = START, body[place + 1], END

    def __call__(self, epoch: int) -> Iterator[Batch]:
        order = np.random.default_rng(epoch).permutation(len(self.bodies))
        return (
            (self.bodies[order[first : first + 32]], self.titles[order[first : first + 32]])
            for first in range(0, len(order), 32)
        )


def test_it_learns_to_copy_the_unit_behind_a_mark(tmp_path: Path) -> None:
    network = build(
        "copy", Shape(30, 30, body_length=20, title_length=4, embedding_size=32, hidden_size=32), seed=1
    )
    fit(network, Marked(1600, seed=0), Marked(64, seed=1), epochs=3, learning_rate=0.01, patience=3, checkpoint=tmp_path,
        on_epoch=print, seed=1, contrast_epochs=1)  # fmt: skip
    unseen = Marked(100, seed=2)
    decoded = network.decode(unseen.bodies, START, END)
    assert np.mean((decoded.ids[:, :2] == unseen.titles[:, 1:3]).all(axis=1)) > 0.9


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (Shape(30, 31, embedding_size=8, hidden_size=8), "Vocabularies of 30 and 31 ids"),
        (Shape(30, 30, embedding_size=6, hidden_size=8), "embedding_size = 6 and model.hidden_size = 8"),
        (Shape(30, 30, embedding_size=7, hidden_size=7), "an even number"),
    ],
)
def test_sizes_that_it_cannot_have_are_refused(shape: Shape, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build("copy", shape, seed=1)


@pytest.mark.parametrize(
    ("titles", "said"),
    [(np.zeros((1, 6)), r"\(1, 6\); to 2 bodies .* \(2, 6\)"), (np.full((2, 6), 30), "knows 0 to 29")],
)
def test_titles_that_do_not_fit_are_refused(titles: np.ndarray, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build("copy", SHAPE, seed=1).encode(bodies(2), title_ids=titles)
