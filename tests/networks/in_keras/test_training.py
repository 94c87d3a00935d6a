"""Training: it learns, it stops, it goes on after a kill."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import LakeError, TitlerError, UsageError
from pipeline.networks.in_keras import Network, Shape, build
from pipeline.networks.in_keras.contrastive_training import ContrastFigures
from pipeline.networks.in_keras.training import EpochFigures, Figures, History, best_epoch, fit

SHAPE = Shape(12, 12, body_length=5, title_length=6, embedding_size=8, hidden_size=8)
START, END = 2, 3
Batch = tuple[np.ndarray, np.ndarray]


class KilledError(Exception):
    """What stands for a kill."""


class Copying:
    """Titles that repeat the last two words of their body: (B, 5) and (B, 6) ids, another order every epoch."""

    def __init__(self, issues: int, batch_size: int = 16, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.bodies = rng.integers(4, 12, (issues, 5)).astype(np.int32)
        ends = np.full((issues, 1), END)
        self.titles = np.hstack(
            [np.full((issues, 1), START), self.bodies[:, 3:], ends, 0 * ends, 0 * ends]
        ).astype(np.int32)
        self.batch_size = batch_size

    def __call__(self, epoch: int) -> Iterator[Batch]:
        order = np.random.default_rng(epoch).permutation(len(self.bodies))
        for first in range(0, len(order), self.batch_size):
            rows = order[first : first + self.batch_size]
            yield self.bodies[rows], self.titles[rows]


def quiet(_: Figures) -> None:
    """Reports to nobody."""


def train(
    network: Network,
    folder: Path,
    *,
    epochs: int,
    rate: float = 0.01,
    patience: int = 9,
    seed: int = 1,
    kill_after: int = 0,
) -> History:
    def report(figures: Figures) -> None:
        if kill_after and figures.group == "train" and figures.epoch > kill_after:
            raise KilledError

    data = Copying(64), Copying(16, seed=1)
    return fit(
        network,
        *data,
        epochs=epochs,
        learning_rate=rate,
        patience=patience,
        checkpoint=folder,
        on_epoch=report,
        seed=seed,
    )


def copying(network: Network, folder: Path, kill_at: int = 0) -> list[Figures]:
    """What the variant `copy` reports of 3 epochs of contrast and 2 of titles, until it is killed at that report."""
    reported: list[Figures] = []

    def report(figures: Figures) -> None:
        reported.append(figures)
        if len(reported) == kill_at:
            raise KilledError

    data = Copying(64), Copying(16, seed=1)
    fit(
        network,
        *data,
        epochs=2,
        learning_rate=0.01,
        patience=9,
        checkpoint=folder,
        on_epoch=report,
        seed=1,
        contrast_epochs=3,
    )
    return reported


def weights(network: Network) -> list[list[float]]:
    return [weight.ravel().tolist() for weight in network.model.get_weights()]


def predicted(network: Network, data: Copying) -> tuple[np.ndarray, np.ndarray]:
    """Per position (n, 5): the cross-entropy, and whether the likeliest token is the right one."""
    logits = np.asarray(network.model([data.bodies, data.titles[:, :-1]], training=False)).astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    losses = -np.take_along_axis(logs, data.titles[:, 1:, None], axis=-1)[:, :, 0]
    return losses, logits.argmax(axis=-1) == data.titles[:, 1:]


@dataclass(frozen=True)
class Trained:
    """Four epochs without an interruption."""

    network: Network
    history: History
    folder: Path


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    network, folder = build("gru", SHAPE, seed=1), tmp_path_factory.mktemp("straight")
    return Trained(network, train(network, folder, epochs=4), folder)


def test_it_learns_to_copy_two_words(tmp_path: Path) -> None:
    network = build("gru", SHAPE, seed=1)
    data = Copying(700, batch_size=35)
    fit(
        network,
        data,
        Copying(35, 35, seed=1),
        epochs=18,
        learning_rate=0.02,
        patience=9,
        checkpoint=tmp_path,
        on_epoch=quiet,
        seed=1,
    )
    decoded = network.decode(data.bodies[:50], START, END)
    assert np.mean((decoded.ids[:, :3] == data.titles[:50, 1:4]).all(axis=1)) > 0.9


def test_a_training_killed_in_its_third_epoch_goes_on_to_the_same_figures_and_weights(
    straight: Trained, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        train(build("gru", SHAPE, seed=1), tmp_path, epochs=4, kill_after=2)
    again = build("gru", SHAPE, seed=99)  # its first weights do not matter: the checkpoint has them
    assert train(again, tmp_path, epochs=4) == straight.history
    assert weights(again) == weights(straight.network)


def test_the_same_seed_and_data_give_the_same_weights(straight: Trained, tmp_path: Path) -> None:
    network = build("gru", SHAPE, seed=1)
    assert train(network, tmp_path, epochs=4) == straight.history
    assert weights(network) == weights(straight.network)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, list[Figures]]:
    """`copy`, trained without an interruption, and what it reported."""
    network = build("copy", SHAPE, seed=1)
    return network, copying(network, tmp_path_factory.mktemp("copied"))


def test_copy_reports_epochs_of_contrast_before_those_of_titles(
    copied: tuple[Network, list[Figures]],
) -> None:
    assert [(figures.group, figures.epoch) for figures in copied[1]] == [
        *(("contrast", 1), ("contrast", 2), ("contrast", 3)),
        *(("train", 1), ("train", 2)),
    ]
    assert [type(figures) for figures in copied[1][2:4]] == [ContrastFigures, EpochFigures]


@pytest.mark.parametrize(("kill_at", "left"), [(1, 5), (3, 3), (4, 2), (5, 1)])
def test_copy_killed_in_any_epoch_goes_on_to_the_same_figures_and_weights(
    copied: tuple[Network, list[Figures]], tmp_path: Path, kill_at: int, left: int
) -> None:
    network, reported = copied
    with pytest.raises(KilledError):
        copying(build("copy", SHAPE, seed=1), tmp_path, kill_at)
    again = build(
        "copy", SHAPE, seed=1 if kill_at == 1 else 99
    )  # from the first checkpoint on, first weights do not matter
    assert copying(again, tmp_path) == reported[-left:]
    assert weights(again) == weights(network)


def test_a_finished_training_is_not_repeated(straight: Trained) -> None:
    again = build("gru", SHAPE, seed=1)
    reported: list[Figures] = []
    data = Copying(64), Copying(16)
    history = fit(
        again,
        *data,
        epochs=4,
        learning_rate=0.01,
        patience=9,
        checkpoint=straight.folder,
        on_epoch=reported.append,
        seed=1,
    )
    assert (history, reported) == (straight.history, [])
    assert weights(again) == weights(straight.network)


def test_a_rate_far_too_high_is_halved_and_training_stops_with_the_best_weights(tmp_path: Path) -> None:
    network = build("gru", SHAPE, seed=1)
    history = train(network, tmp_path, epochs=40, rate=0.6, patience=2)
    best = best_epoch(history)
    assert len(history) == best.epoch + 2 < 40
    assert [
        epoch.learning_rate / history[best.epoch - 1].learning_rate for epoch in history[best.epoch :]
    ] == pytest.approx([1, 0.5])
    assert predicted(network, Copying(16, seed=1))[0].mean() == pytest.approx(best.validation_loss, rel=1e-4)


def test_the_rate_of_copy_falls_in_a_straight_line_over_the_second_half_of_the_epochs(tmp_path: Path) -> None:
    network, data = build("copy", SHAPE, seed=1), (Copying(64), Copying(16))
    history = fit(
        network, *data, epochs=6, learning_rate=0.003, patience=9, checkpoint=tmp_path, on_epoch=quiet, seed=1
    )
    assert [epoch.validation_loss for epoch in history] == sorted(
        (epoch.validation_loss for epoch in history), reverse=True
    )
    assert [epoch.learning_rate for epoch in history] == pytest.approx(
        [0.003, 0.003, 0.003, 0.003, 0.002, 0.001]
    )


def test_losses_are_means_over_issues_and_those_of_tokens_leave_padding_out(tmp_path: Path) -> None:
    network = build("gru", SHAPE, seed=1)
    data = Copying(20)  # in batches of 16 and 4
    last = fit(
        network,
        data,
        data,
        epochs=2,
        learning_rate=0.01,
        patience=9,
        checkpoint=tmp_path,
        on_epoch=quiet,
        seed=1,
    )[-1]
    losses, hits = predicted(network, data)
    assert last.validation_loss == pytest.approx(losses.mean(), rel=1e-4)
    assert last.validation_token_loss == pytest.approx(losses[:, :3].mean(), rel=1e-4)
    assert last.validation_token_accuracy == pytest.approx(hits[:, :3].mean(), abs=1e-6)


def test_a_checkpoint_of_another_seed_is_refused(straight: Trained) -> None:
    with pytest.raises(LakeError, match=r"(?s)another training.*rm "):
        train(build("gru", SHAPE, seed=2), straight.folder, epochs=5, seed=2)


def test_a_damaged_checkpoint_is_refused_saying_what_to_remove(straight: Trained, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.npz").write_bytes((straight.folder / "checkpoint.npz").read_bytes()[:1000])
    with pytest.raises(LakeError, match=r"(?s)checkpoint.npz is no checkpoint.*rm "):
        train(build("gru", SHAPE, seed=1), tmp_path, epochs=2)


def test_nothing_but_the_checkpoint_is_left_beside_it(straight: Trained) -> None:
    assert [path.name for path in straight.folder.iterdir()] == ["checkpoint.npz"]


@pytest.mark.parametrize(("issues", "validated", "what"), [(0, 5, "train"), (5, 0, "validate")])
def test_no_issues_are_a_users_mistake(tmp_path: Path, issues: int, validated: int, what: str) -> None:
    data = Copying(issues), Copying(validated)
    with pytest.raises(UsageError, match=f"no issue to {what} on"):
        fit(
            build("gru", SHAPE, seed=1),
            *data,
            epochs=1,
            learning_rate=0.01,
            patience=1,
            checkpoint=tmp_path,
            on_epoch=quiet,
            seed=1,
        )


def test_titles_of_another_length_are_refused(tmp_path: Path) -> None:
    def short(_: int) -> Iterator[Batch]:
        yield np.ones((2, 5), np.int32), np.ones((2, 4), np.int32)

    with pytest.raises(UsageError, match=r"titles of \(2, 4\); this network trains on \(B, 5\) and \(B, 6\)"):
        fit(
            build("gru", SHAPE, seed=1),
            short,
            short,
            epochs=1,
            learning_rate=0.01,
            patience=1,
            checkpoint=tmp_path,
            on_epoch=quiet,
            seed=1,
        )


def test_a_loss_that_is_no_number_ends_the_training_without_a_checkpoint(tmp_path: Path) -> None:
    network = build("gru", SHAPE, seed=1)
    network.model.set_weights([weight * math.nan for weight in network.model.get_weights()])
    with pytest.raises(TitlerError, match=r"loss of epoch 1 is nan"):
        train(network, tmp_path, epochs=1)
    assert list(tmp_path.iterdir()) == []
