"""Trains a network on titles with teacher forcing.

Some variants of the network begin with contrastive pre-training, which trains their table of embeddings.
If a network copies the table of another network, there is no pre-training. The training data is read in
batches and need not fit in memory. An interrupted training is resumed from its checkpoint.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import keras
import numpy as np
from keras import ops

from pipeline.errors import LakeError, TitlerError, UsageError
from pipeline.networks.in_keras.batch_norm_warmup import Warmup
from pipeline.networks.in_keras.checkpoint import Arrays, Checkpoint, Storage, assign, train_anew, values
from pipeline.networks.in_keras.contrastive_training import ContrastFigures, ContrastiveTraining, take_table
from pipeline.networks.in_keras.prefetch import prefetch
from pipeline.networks.in_keras.teacher_forcing import TeacherForcing
from pipeline.networks.shape import PAD, Floats, Ids, Shape
from pipeline.networks.variants import variant_of

SHORT_EPOCHS = 0.75
"""The share of the epochs in which bodies are cut, if the variant of the network cuts them."""
Data = Callable[[int], Iterator[tuple[Ids, Ids]]]
"""A function that takes the number of an epoch, from 1, and returns an iterator over the epoch's batches.

A batch is a pair of bodies (B, body_length) and titles (B, title_length).
"""


class Network(Protocol):
    """The attributes and methods of a network that a training needs."""

    variant: str
    shape: Shape
    model: keras.Model

    @property
    def identity(self) -> dict[str, Any]:
        """The facts that identify this network in a checkpoint, besides the network's shape and variant."""

    def teacher_forcing(self) -> TeacherForcing:
        """Returns the model, the loss, the metrics and the settings with which the network is trained on
        titles."""


@dataclass(frozen=True)
class EpochFigures:
    """The figures of one epoch of training and validation. Losses use the natural logarithm.

    `loss` is what the training minimizes. For the `gru` variants, `loss` is the mean cross-entropy over all
    positions of a title, including padding. When the network has learned where titles end, it predicts the
    padding well, and `loss` falls. `token_loss` and `token_accuracy` are computed without padding: over the
    tokens of titles and `_end_`.
    """

    epoch: int
    """number of the epoch, from 1"""
    issues: int
    """number of issues trained on in the epoch"""
    learning_rate: float
    loss: float
    token_loss: float
    token_accuracy: float
    validation_loss: float
    validation_token_loss: float
    validation_token_accuracy: float
    seconds: float = field(compare=False)

    @property
    def group(self) -> str:
        """The group of the training figures in MLflow: the names of their metrics begin with `train/`."""
        return "train"


Figures = EpochFigures | ContrastFigures
History = tuple[EpochFigures, ...]


def best_epoch(history: Sequence[EpochFigures]) -> EpochFigures:
    """Returns the epoch with the lowest validation loss.

    If several epochs have the same loss, returns the earliest of them.
    """
    return min(history, key=lambda figures: figures.validation_loss)


def fit(
    network: Network,
    train: Data,
    validation: Data,
    *,
    epochs: int,
    learning_rate: float,
    patience: int,
    checkpoint: Storage,
    on_epoch: Callable[[Figures], None],
    seed: int,
    contrast: Data | None = None,
    contrast_epochs: int = 6,
    table: Floats | None = None,
) -> History:
    """Trains `network` in place. Returns the figures of each epoch of training on titles.

    If the variant has contrastive pre-training, the pre-training runs first. It takes `contrast_epochs`
    epochs on the batches of `contrast`, or on those of `train` if `contrast` is None. Before these
    epochs, the batches of an additional epoch 0 are read without training on them, to compute the inverse
    document frequencies of units (subwords). If `table` (V, size) is given, there is no pre-training: the
    network uses `table` as its table of embeddings.

    Then the network is trained on titles, with the optimizer of its variant. To save time, some variants cut
    bodies in the first epochs; SHORT_EPOCHS is the share of `epochs` in which they do so. Training stops
    after `epochs` epochs, or after `patience` epochs in a row without a new lowest validation loss. Each
    epoch without a new lowest loss halves the learning rate. In some variants the learning rate also decays
    linearly to 0 over `epochs` (Bergsma et al. 2025, "Straight to Zero"). At the end, the network gets the
    weights of the epoch with the lowest validation loss.

    After each epoch of pre-training or training, `on_epoch` is called, and then a checkpoint is written to
    the storage `checkpoint`. A later call resumes from the checkpoint, and gives the same figures as a
    training without interruption. If the interruption came before the checkpoint of an epoch was written,
    `on_epoch` may be called again for this epoch. `seed` is the seed of the initial weights and of the order
    of the data.

    Raises UsageError if there is no issue to train on or to validate on. Raises LakeError if the checkpoint
    is damaged, or belongs to another training or seed. Raises TitlerError if the loss is not a finite number.
    """
    task = network.teacher_forcing()
    pretrains = table is None and variant_of(network.variant).pretrains_contrastively
    identity = _identity(network, task, learning_rate, seed)
    if pretrains:
        identity["contrast_epochs"] = contrast_epochs
    if table is not None:
        identity["table"] = hashlib.sha256(table.tobytes()).hexdigest()
    progress = _Progress(checkpoint, identity, network)
    if table is not None and not progress.history:
        take_table(network.model, table)
    if pretrains and not progress.history:
        _pretrain(ContrastiveTraining(network.model), contrast or train, contrast_epochs, on_epoch, progress)

    training = _TitleTraining(network, task, learning_rate, progress)
    while len(progress.history) < epochs and _epochs_without_improvement(progress.history) < patience:
        figures = training.epoch(epochs, train, validation)
        on_epoch(figures)
        progress.add_epoch(figures, training.optimizer)
    assign(network.model.variables, progress.best)
    return progress.history


def _identity(network: Network, task: TeacherForcing, learning_rate: float, seed: int) -> dict[str, Any]:
    """Returns facts that identify a training on titles.

    A training can resume from a checkpoint only if the checkpoint was written by a training with the same
    facts.
    """
    identity = {
        "variant": network.variant,
        "shape": asdict(network.shape),
        "learning_rate": learning_rate,
        "seed": seed,
    }
    # Nadam is not named, so that checkpoints of older versions, which always used Nadam, stay valid.
    optimizer = {} if task.optimizer is keras.optimizers.Nadam else {"optimizer": task.optimizer.__name__}
    # Earlier versions let the rate decay over the second half of the epochs, and did not name the decay.
    decay = {"decay": "all epochs"} if task.decays_linearly else {}
    return identity | optimizer | decay | network.identity


class _Progress:
    """The state of a training, which is stored in a checkpoint file."""

    def __init__(self, storage: Storage, identity: dict[str, Any], network: Network) -> None:
        """Reads the checkpoint in `storage`, if there is one, and gives the network the checkpoint's weights.

        Raises LakeError if the checkpoint is damaged, or was written by a training with another `identity`.
        """
        self._storage, self._identity, self._network = storage, identity, network
        self.contrast: tuple[ContrastFigures, ...] = ()
        self.history: History = ()
        self.optimizer: Arrays = []
        self.best: Arrays = []
        """weights of the best epoch"""
        checkpoint = Checkpoint.read(storage)
        if checkpoint is None:
            return
        if checkpoint.facts.get("about") != identity:
            raise LakeError(
                "The checkpoint belongs to another training. "
                f"That training has the values {checkpoint.facts.get('about')}. "
                f"This training has the values {identity}.",
                train_anew(storage),
            )
        self.contrast = tuple(ContrastFigures(**figures) for figures in checkpoint.facts.get("contrast", []))
        self.history = tuple(EpochFigures(**figures) for figures in checkpoint.facts["history"])
        self.optimizer = checkpoint.optimizer
        self.best = checkpoint.best or checkpoint.weights
        assign(network.model.variables, checkpoint.weights)

    def add_epoch(self, figures: EpochFigures, optimizer: keras.Optimizer) -> None:
        """Adds the figures of an epoch of training on titles, and writes the checkpoint."""
        weights = self.weights()
        self.history = (*self.history, figures)
        if best_epoch(self.history) is figures:
            self.best = weights
        self.write(weights, optimizer)

    def write(self, weights: Arrays, optimizer: keras.Optimizer) -> None:
        """Writes the checkpoint. `weights` are the weights of the network after the latest epoch."""
        contrast, history = (
            [asdict(figures) for figures in epochs] for epochs in (self.contrast, self.history)
        )
        facts = {"about": self._identity, "contrast": contrast, "history": history}
        best = [] if self.best is weights else self.best
        Checkpoint(facts, weights, values(optimizer.variables), best).write(self._storage)

    def weights(self) -> Arrays:
        """Returns copies of the network's current weights."""
        return values(self._network.model.variables)


def _pretrain(
    training: ContrastiveTraining,
    data: Data,
    epochs: int,
    on_epoch: Callable[[Figures], None],
    progress: _Progress,
) -> None:
    """Runs the epochs of contrastive pre-training that are not in the checkpoint yet."""
    if progress.contrast:
        assign(training.optimizer.variables, progress.optimizer)
    else:
        training.begin(data(0))
    for epoch in range(len(progress.contrast) + 1, epochs + 1):
        figures = training.epoch(epoch, data(epoch))
        if not figures.issues:
            raise _no_issues("train")
        if not math.isfinite(figures.loss):
            raise TitlerError(
                f"The contrastive loss of epoch {epoch} is {figures.loss}, not a finite number.",
                "Train a new model with another model.seed.",
                final=True,
            )
        on_epoch(figures)
        progress.contrast = (*progress.contrast, figures)
        progress.write(progress.weights(), training.optimizer)
    training.finish()


class _TitleTraining:
    """Trains a network on titles, epoch by epoch. Resumes from the state in `progress`."""

    def __init__(
        self, network: Network, task: TeacherForcing, learning_rate: float, progress: _Progress
    ) -> None:
        self._network, self._task = network, task
        self._learning_rate, self._progress = learning_rate, progress
        model = self._task.model
        self.optimizer = self._task.optimizer(
            learning_rate=learning_rate, global_clipnorm=self._task.gradient_norm_limit
        )
        # Keras decides whether to use XLA, and uses it on accelerators only. On a CPU, XLA would make steps a
        # tenth faster, but compiling would take seconds for every batch size.
        model.compile(self.optimizer, self._task.loss, metrics=self._task.metrics)
        self.optimizer.build(model.trainable_variables)
        if progress.history:
            assign(self.optimizer.variables, progress.optimizer)
        steps = int(ops.convert_to_numpy(self.optimizer.iterations))
        self._train_step = Warmup(network.model, steps).wrap(model.train_on_batch)

    def epoch(self, epochs: int, train: Data, validation: Data) -> EpochFigures:
        """Runs the next epoch: training and validation. Returns the figures of the epoch.

        `epochs` is the maximum number of epochs of the whole training. In some variants, the learning rate
        and the length of bodies depend on it. Raises TitlerError if the training loss is not a finite number.
        """
        history = self._progress.history
        epoch = len(history) + 1
        decay_over = epochs if self._task.decays_linearly else None
        self.optimizer.learning_rate = _scheduled_rate(self._learning_rate, history, decay_over)
        began = time.monotonic()
        batches = train(epoch)
        if self._task.short_body is not None and epoch <= SHORT_EPOCHS * epochs:
            batches = _cut(batches, self._task.short_body)
        trained, issues = self._pass(self._train_step, batches, "train")
        if not math.isfinite(trained["loss"]):
            raise TitlerError(
                f"The training loss of epoch {epoch} is {trained['loss']}, not a finite number.",
                f"Train a new model with a model.learning_rate below {self._learning_rate}.",
                final=True,
            )
        validated, _ = self._pass(self._task.model.test_on_batch, validation(epoch), "validate")
        return EpochFigures(
            epoch=epoch,
            issues=issues,
            learning_rate=float(ops.convert_to_numpy(self.optimizer.learning_rate)),
            **trained,
            **{f"validation_{name}": value for name, value in validated.items()},
            seconds=time.monotonic() - began,
        )

    def _pass(
        self,
        step: Callable[..., Any],
        batches: Iterator[tuple[Ids, Ids]],
        purpose: Literal["train", "validate"],
    ) -> tuple[dict[str, float], int]:
        """Calls `step` on every batch. Returns the means of the figures that `step` returns, by their names.
        Also returns the number of issues.

        This method computes the means itself, because Keras would give a smaller last batch the same weight
        as a full batch.
        """
        sums = {"loss": 0.0, "token_loss": 0.0, "token_accuracy": 0.0}
        counts = dict.fromkeys(sums, 0)
        issues = 0
        with prefetch(self._task.training_batches(_checked(batches, self._network))) as training_batches:
            for batch in training_batches:
                self._task.model.reset_metrics()
                logs = step(batch.inputs, batch.targets, return_dict=True)
                issues += batch.issues
                for name in sums:
                    over_issues = name == "loss" and self._task.loss_is_mean_over == "issues"
                    weight = batch.issues if over_issues else batch.tokens
                    sums[name] += float(logs[name]) * weight
                    counts[name] += weight
        if not issues:
            raise _no_issues(purpose)
        return {name: total / max(1, counts[name]) for name, total in sums.items()}, issues


def _cut(batches: Iterator[tuple[Ids, Ids]], length: int) -> Iterator[tuple[Ids, Ids]]:
    """Yields the batches with cut bodies. In each body, only the first `length` ids are kept, and padding
    replaces the others."""
    for bodies, titles in batches:
        yield np.where(np.arange(bodies.shape[1]) < length, bodies, PAD).astype(bodies.dtype), titles


def _no_issues(purpose: Literal["train", "validate"]) -> UsageError:
    return UsageError(
        f"The model has no issues to {purpose} on.",
        "Create a model with more days:  titler vocab --from DAY --to DAY",
    )


def _checked(batches: Iterator[tuple[Ids, Ids]], network: Network) -> Iterator[tuple[Ids, Ids]]:
    """Yields the batches. Raises UsageError if the first batch does not fit the network's shape."""
    first = next(batches, None)
    if first is not None:
        _check_shape(*first, network)
        yield first
        yield from batches


def _check_shape(bodies: Ids, titles: Ids, network: Network) -> None:
    shape = network.shape
    if bodies.shape[1:] != (shape.body_length,) or titles.shape[1:] != (shape.title_length,):
        raise UsageError(
            f"The bodies have the shape {bodies.shape} and the titles {titles.shape}. This network needs "
            f"the shape (n, {shape.body_length}) for n bodies and (n, {shape.title_length}) for n titles."
        )


def _epochs_without_improvement(history: History) -> int:
    return history[-1].epoch - best_epoch(history).epoch if history else 0


def _scheduled_rate(initial: float, history: History, decay_over: int | None) -> float:
    """Returns the learning rate of the next epoch.

    The rate is `initial`, halved once for each earlier epoch without a new lowest validation loss. If
    `decay_over` is a number of epochs, the rate also decays linearly to 0 over these epochs. An epoch has the
    rate of its middle.
    """
    halvings = sum(_epochs_without_improvement(history[:epoch]) > 0 for epoch in range(1, len(history) + 1))
    decay = 1.0 if decay_over is None else 1 - (len(history) + 0.5) / decay_over
    return float(initial * decay * 0.5**halvings)
