"""Training learns, stops early, and resumes after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import LakeError, TitlerError, UsageError
from pipeline.networks.in_keras import Network, Shape, build, copy
from pipeline.networks.in_keras.contrastive_training import ContrastFigures
from pipeline.networks.in_keras.length_bucketing import bucketed
from pipeline.networks.in_keras.training import Data, EpochFigures, Figures, History, best_epoch, fit
from tests.networks.damage import set_weights_to_nan
from tests.support.checkpoint_folder import CheckpointFolder

SHAPE = Shape(12, 12, body_length=5, title_length=6, embedding_size=8, hidden_size=8, layers=1)
"""One layer in the encoder of the variant `copy`, because a second one only takes longer to compile."""
START, END = 2, 3
Batch = tuple[np.ndarray, np.ndarray]


class KilledError(Exception):
    """Simulates the end of the process."""


class CopyTask:
    """Titles that repeat the last two words of their body: (B, 5) and (B, 6) ids, in a new order every
    epoch."""

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


def ignore(_: Figures) -> None:
    """Does nothing with the figures of an epoch."""


def kill_after(epoch: int) -> Callable[[Figures], None]:
    """Ends the process in the first epoch of titles after this one, before its checkpoint."""

    def report(figures: Figures) -> None:
        if figures.group == "train" and figures.epoch > epoch:
            raise KilledError

    return report


def train(
    network: Network,
    folder: Path,
    *,
    epochs: int,
    data: tuple[Data, Data] | None = None,
    rate: float = 0.01,
    patience: int = 9,
    seed: int = 1,
    contrast_epochs: int = 6,
    table: np.ndarray | None = None,
    on_epoch: Callable[[Figures], None] = ignore,
) -> History:
    """Trains on `data`, batches to train on and to validate on: by default 64 and 16 issues of CopyTask."""
    return fit(
        network,
        *(data or (CopyTask(64), CopyTask(16, seed=1))),
        epochs=epochs,
        learning_rate=rate,
        patience=patience,
        checkpoint=CheckpointFolder(folder),
        on_epoch=on_epoch,
        seed=seed,
        contrast_epochs=contrast_epochs,
        table=table,
    )


def train_copy(network: Network, folder: Path, kill_at: int = 0) -> list[Figures]:
    """The reports of 3 epochs of contrastive pre-training and 2 of titles, or those before a kill.

    The process is killed at its report number `kill_at`, before the checkpoint of that epoch.
    """
    reported: list[Figures] = []

    def report(figures: Figures) -> None:
        reported.append(figures)
        if len(reported) == kill_at:
            raise KilledError

    train(network, folder, epochs=2, contrast_epochs=3, on_epoch=report)
    return reported


def weights(network: Network) -> list[list[float]]:
    return [weight.ravel().tolist() for weight in network.model.get_weights()]


def predicted(network: Network, data: CopyTask) -> tuple[np.ndarray, np.ndarray]:
    """For each position (n, 5) the cross-entropy, and whether the most probable token is the right one."""
    logits = np.asarray(network.model([data.bodies, data.titles[:, :-1]], training=False)).astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    losses = -np.take_along_axis(logs, data.titles[:, 1:, None], axis=-1)[:, :, 0]
    return losses, logits.argmax(axis=-1) == data.titles[:, 1:]


@dataclass(frozen=True)
class Trained:
    """A training of four epochs without an interruption."""

    network: Network
    history: History
    folder: Path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    network, folder = build("gru", SHAPE, seed=1), tmp_path_factory.mktemp("uninterrupted")
    return Trained(network, train(network, folder, epochs=4), folder)


LEARNED = CopyTask(700, batch_size=35)
VALIDATED = CopyTask(44, batch_size=35, seed=1)  # in batches of 35 and 9


@pytest.fixture(scope="module")
def long_trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training of 18 epochs on LEARNED, validated on VALIDATED."""
    network, folder = build("gru", SHAPE, seed=1), tmp_path_factory.mktemp("long_trained")
    return Trained(network, train(network, folder, epochs=18, data=(LEARNED, VALIDATED), rate=0.02), folder)


def test_a_network_learns_to_copy_two_words(long_trained: Trained) -> None:
    decoded = long_trained.network.decode(LEARNED.bodies[:50], START, END)
    assert np.mean((decoded.ids[:, :3] == LEARNED.titles[:50, 1:4]).all(axis=1)) > 0.9


def test_losses_are_means_over_issues_and_token_losses_leave_padding_out(long_trained: Trained) -> None:
    best = best_epoch(long_trained.history)  # the network has the weights of this epoch
    losses, hits = predicted(long_trained.network, VALIDATED)
    assert best.validation_loss == pytest.approx(losses.mean(), rel=1e-4)
    assert best.validation_token_loss == pytest.approx(losses[:, :3].mean(), rel=1e-4)
    assert best.validation_token_accuracy == pytest.approx(hits[:, :3].mean(), abs=1e-6)


def test_a_training_killed_in_its_third_epoch_resumes_with_the_same_figures_and_weights(
    uninterrupted: Trained, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        train(build("gru", SHAPE, seed=1), tmp_path, epochs=4, on_epoch=kill_after(2))
    resumed = build("gru", SHAPE, seed=99)  # another seed: the weights come from the checkpoint
    assert train(resumed, tmp_path, epochs=4) == uninterrupted.history
    assert weights(resumed) == weights(uninterrupted.network)


@pytest.fixture(scope="module")
def trained_copy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, list[Figures]]:
    """The variant `copy`, trained without an interruption, and its reports."""
    network = build("copy", SHAPE, seed=1)
    return network, train_copy(network, tmp_path_factory.mktemp("trained_copy"))


def test_copy_reports_epochs_of_contrastive_pre_training_before_epochs_of_titles(
    trained_copy: tuple[Network, list[Figures]],
) -> None:
    assert [(figures.group, figures.epoch) for figures in trained_copy[1]] == [
        *(("contrast", 1), ("contrast", 2), ("contrast", 3)),
        *(("train", 1), ("train", 2)),
    ]
    assert [type(figures) for figures in trained_copy[1][2:4]] == [ContrastFigures, EpochFigures]


def test_copy_killed_in_both_kinds_of_epochs_resumes_with_the_same_figures_and_weights(
    trained_copy: tuple[Network, list[Figures]], tmp_path: Path
) -> None:
    network, reported = trained_copy
    with pytest.raises(KilledError):  # in the third epoch of pre-training
        train_copy(build("copy", SHAPE, seed=1), tmp_path, kill_at=3)
    with pytest.raises(KilledError):  # in the first epoch of titles
        train_copy(build("copy", SHAPE, seed=98), tmp_path, kill_at=2)
    resumed = build("copy", SHAPE, seed=99)  # another seed: the weights come from the checkpoint
    assert train_copy(resumed, tmp_path) == reported[-2:]
    assert weights(resumed) == weights(network)


def test_copy_with_the_table_of_another_network_trains_titles_only(
    trained_copy: tuple[Network, list[Figures]], tmp_path: Path
) -> None:
    table, reported = np.asarray(trained_copy[0].model.table.embeddings), list[Figures]()
    network = build("copy", SHAPE, seed=2)
    history = train(network, tmp_path, epochs=2, table=table, on_epoch=reported.append)
    assert [(figures.group, figures.epoch) for figures in reported] == [("train", 1), ("train", 2)]
    assert history[1].loss < history[0].loss
    assert np.array_equal(network.model.table.embeddings, table)
    with pytest.raises(LakeError, match=r"(?s)another training.*delete the file "):
        train(build("copy", SHAPE, seed=2), tmp_path, epochs=2, table=table + 1)


def test_a_finished_training_is_not_repeated(uninterrupted: Trained) -> None:
    network = build("gru", SHAPE, seed=1)
    reported: list[Figures] = []
    history = train(network, uninterrupted.folder, epochs=4, on_epoch=reported.append)
    assert (history, reported) == (uninterrupted.history, [])
    assert weights(network) == weights(uninterrupted.network)


def test_a_learning_rate_that_is_too_high_is_halved_and_the_best_weights_are_restored(tmp_path: Path) -> None:
    network = build("gru", SHAPE, seed=1)
    history = train(network, tmp_path, epochs=40, rate=0.6, patience=2)
    best = best_epoch(history)
    assert len(history) == best.epoch + 2 < 40
    assert [
        epoch.learning_rate / history[best.epoch - 1].learning_rate for epoch in history[best.epoch :]
    ] == pytest.approx([1, 0.5])
    assert predicted(network, CopyTask(16, seed=1))[0].mean() == pytest.approx(best.validation_loss, rel=1e-4)


def test_copy_reads_only_the_first_units_of_bodies_in_three_quarters_of_the_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units_read: list[int] = []

    def recorded(batches: Iterator[Batch]) -> Iterator[Batch]:
        for bodies, titles in bucketed(batches):
            units_read.append(int((bodies != 0).sum()))
            yield bodies, titles

    def one_issue(epoch: int) -> Iterator[Batch]:
        yield np.full((1, 5), 6, np.int32), np.array([[START, 5, END, 0, 0, 0]], np.int32)

    monkeypatch.setattr(copy, "bucketed", recorded)
    monkeypatch.setattr(copy, "SHORT_BODY", 3)
    train(build("copy", SHAPE, seed=1), tmp_path, epochs=4, data=(one_issue, one_issue), contrast_epochs=1)
    validated = 5
    assert units_read == [3, validated] * 3 + [5, validated]


def test_a_checkpoint_of_another_seed_is_refused(uninterrupted: Trained) -> None:
    with pytest.raises(LakeError, match=r"(?s)another training.*delete the file "):
        train(build("gru", SHAPE, seed=2), uninterrupted.folder, epochs=5, seed=2)


def test_a_damaged_checkpoint_is_refused_with_the_file_to_delete(
    uninterrupted: Trained, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint.npz").write_bytes((uninterrupted.folder / "checkpoint.npz").read_bytes()[:1000])
    with pytest.raises(LakeError, match=r"(?s)checkpoint.npz is not a checkpoint.*delete the file "):
        train(build("gru", SHAPE, seed=1), tmp_path, epochs=2)


def test_the_folder_contains_only_the_checkpoint(uninterrupted: Trained) -> None:
    assert [path.name for path in uninterrupted.folder.iterdir()] == ["checkpoint.npz"]


@pytest.mark.parametrize(("issues", "validation_issues", "purpose"), [(0, 5, "train"), (5, 0, "validate")])
def test_training_or_validating_without_issues_is_a_usage_error(
    tmp_path: Path, issues: int, validation_issues: int, purpose: str
) -> None:
    data = CopyTask(issues), CopyTask(validation_issues)
    with pytest.raises(UsageError, match=f"no issues to {purpose} on"):
        train(build("gru", SHAPE, seed=1), tmp_path, epochs=1, data=data)


def test_titles_of_another_length_are_refused(tmp_path: Path) -> None:
    def short(_: int) -> Iterator[Batch]:
        yield np.ones((2, 5), np.int32), np.ones((2, 4), np.int32)

    with pytest.raises(
        UsageError,
        match=r"the titles \(2, 4\)\. This network needs the shape \(n, 5\) for n bodies and \(n, 6\) for n "
        r"titles\.",
    ):
        train(build("gru", SHAPE, seed=1), tmp_path, epochs=1, data=(short, short))


def test_a_loss_that_is_not_a_number_ends_the_training_without_a_checkpoint(tmp_path: Path) -> None:
    network = build("gru", SHAPE, seed=1)
    set_weights_to_nan(network)
    with pytest.raises(TitlerError, match=r"loss of epoch 1 is nan"):
        train(network, tmp_path, epochs=1)
    assert list(tmp_path.iterdir()) == []
