"""Contrastive pre-training of the embedding table, on pairs of title and body.

    bodies (P, .) -> bags -> table -> scaled to length 1 --+
                                                           +--> cosines (P, P) / TEMPERATURE
    titles (P, .) -> bags -> table -> scaled to length 1 --+

The table has one row per unit (subword). `pipeline.networks.bag_of_units` computes embeddings from the table.

P is the number of pairs in a step. Each title is classified: which of the P bodies belongs to it? Each body
is classified in the same way among the P titles. The right class is the other text of the same issue. The
loss is the mean of both cross-entropies.

Before training, each row of the table has a random direction. The length of the row is proportional to the
inverse document frequency of the row's unit. So the cosines before the first step are close to those of
TF-IDF.

Sources: van den Oord, Li and Vinyals 2018, "Representation Learning with Contrastive Predictive Coding",
equation 4; Wu et al. 2018, "StarSpace: Embed All The Things!", 3 (bags of features, one table for both
sides).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import KerasTensor, ops

from pipeline.networks.bag_of_units import Bag, bag, inverse_document_frequency
from pipeline.networks.in_keras.prefetch import prefetch
from pipeline.networks.shape import Floats, Ids

PAIRS_PER_STEP = 512
"""Number of pairs in a training step. For each pair, the other pairs of the step are negative examples."""
TEMPERATURE = 0.05
LEARNING_RATE = 0.05
UNITS_MULTIPLE = 8192
"""The number of units (subwords) in a step is padded to a multiple of this. Few sizes mean few
compilations."""
INITIAL_RMS = 0.05 / 3**0.5
"""root mean square of Keras's initial embeddings, which are uniform from -0.05 to 0.05"""


@dataclass(frozen=True)
class ContrastFigures:
    """The figures of one epoch of contrastive pre-training, in which the network learns to embed issues."""

    epoch: int
    """number of the epoch, from 1"""
    issues: int
    """number of issues trained on in the epoch"""
    loss: float
    """mean cross-entropy (natural logarithm) of the classification: which text of a step is the other text of
    the same issue?"""
    accuracy: float
    """share of titles whose own body is the nearest of the step's bodies"""
    seconds: float = field(compare=False)

    @property
    def group(self) -> str:
        """The group of these figures in MLflow. The names of their metrics begin with `contrast/`."""
        return "contrast"


class RowAdagrad(keras.optimizers.Optimizer):
    """The optimizer Adagrad for a table, with one accumulator per row instead of one per number.

    In each step, the mean of the squared gradients of a row is added to the row's accumulator. The row's
    gradient is divided by the square root of the accumulator. One accumulator is enough: a row belongs to one
    unit (subword), so all its numbers are trained equally often. In the source (Duchi, Hazan and Singer 2011,
    "Adaptive Subgradient Methods"), each number has its own accumulator.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        if not self.built:
            super().build(variables)
            self._sums = [self.add_variable((variable.shape[0], 1), name="sums") for variable in variables]

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        # TensorFlow returns one gradient per lookup of a row. The conversion adds up those of the same row.
        gradient = ops.reshape(ops.convert_to_tensor(gradient), variable.shape)
        accumulator = self._sums[self._get_variable_index(variable)]
        self.assign_add(accumulator, ops.mean(ops.square(gradient), axis=-1, keepdims=True))
        self.assign_sub(variable, learning_rate * gradient / (ops.sqrt(accumulator) + 1e-8))


class PairScores(keras.Model):
    """A Keras model that compares the titles and the bodies of P issues.

    A title and the body of the same issue are a pair. There are seven input arrays: the three arrays of the
    titles' `Bag`, the three arrays of the bodies' `Bag`, and the numbers 0 to P - 1 of the pairs. The result
    (P, 2) has one row per pair. Column 0 is the loss of the pair. Column 1 is 1 if the body nearest to the
    title is the title's own body, otherwise 0.
    """

    def __init__(self, table: keras.layers.Embedding) -> None:
        super().__init__(name="pairs", dtype="float32")  # no mixed precision: the matrices are small
        self.table = table

    def call(self, inputs: list[KerasTensor]) -> KerasTensor:
        *bags, pair = inputs
        titles, bodies = self.vectors(bags[:3], pair), self.vectors(bags[3:], pair)
        cosines = ops.matmul(titles, ops.transpose(bodies)) / TEMPERATURE
        own = ops.sum(titles * bodies, axis=-1) / TEMPERATURE
        loss = (ops.logsumexp(cosines, axis=0) + ops.logsumexp(cosines, axis=1)) / 2 - own
        nearest_is_own = ops.cast(ops.argmax(cosines, axis=1), "int32") == pair
        return ops.stack([loss, ops.cast(nearest_is_own, loss.dtype)], axis=-1)

    def vectors(self, bags: list[KerasTensor], pair: KerasTensor) -> KerasTensor:
        """Returns the vectors (P, size) of P texts, scaled to length 1.

        `bags` are the three arrays of the texts' `Bag`. `pair` has one element per text. A text without units
        (subwords) has a vector of zeros.
        """
        texts, units, weights = bags
        weighted = self.table(units) * weights[:, None]
        sums = ops.segment_sum(weighted, texts, ops.shape(pair)[0])
        return sums * ops.rsqrt(ops.sum(ops.square(sums), axis=-1, keepdims=True) + 1e-12)


class ContrastiveTraining:
    """Trains the table from which a network computes embeddings. The table has one vector per unit (subword).

    Call `begin` once, then `epoch` for each epoch, then `finish` once. To resume an interrupted training, do
    not call `begin` again.
    """

    def __init__(self, model: Any) -> None:
        """Prepares the training of the layer `table` of `model`.

        The variant of `model` must compute embeddings from bags of units (subwords).
        """
        self._model = model
        self._vocabulary: int = model.vocabulary
        self._scores = PairScores(model.table)
        model.table.trainable = True
        self.optimizer = RowAdagrad(LEARNING_RATE)
        self.optimizer.build(self._scores.trainable_variables)
        self._scores.compile(self.optimizer, _loss, metrics=[_Accuracy()])

    def begin(self, batches: Iterator[tuple[Ids, Ids]]) -> None:
        """Multiplies each row of the table by the inverse document frequency of the row's unit (subword).

        This prepares the table for training. To compute the frequencies, all training data is read once.
        """
        rows = self._model.table.embeddings
        idf = inverse_document_frequency(batches, self._vocabulary)
        rows.assign(np.asarray(ops.convert_to_numpy(rows)) * idf[:, None])

    def epoch(self, number: int, batches: Iterator[tuple[Ids, Ids]]) -> ContrastFigures:
        """Trains on every pair of title and body once. Returns the figures of the epoch."""
        began = time.monotonic()
        issues, loss, accuracy = 0, 0.0, 0.0
        with prefetch(step_inputs(batches, self._vocabulary)) as steps:
            for inputs in steps:
                pairs = len(inputs[-1])
                self._scores.reset_metrics()
                logs = self.train_step(inputs)
                issues += pairs
                loss += float(logs["loss"]) * pairs
                accuracy += float(logs["accuracy"]) * pairs
        return ContrastFigures(
            number, issues, loss / max(1, issues), accuracy / max(1, issues), time.monotonic() - began
        )

    def train_step(self, inputs: list[npt.NDArray[Any]]) -> dict[str, Any]:
        """Does one training step. Returns its figures: `loss` and `accuracy`.

        `inputs` are the input arrays for the step, as the function `step_inputs` yields them.
        """
        unused_targets = np.zeros((len(inputs[-1]), 1), np.float32)
        logs: dict[str, Any] = self._scores.train_on_batch(inputs, unused_targets, return_dict=True)
        return logs

    def finish(self) -> None:
        """Ends the training: freezes the table, and copies its rows into the network that writes titles (see
        `freeze_table`)."""
        freeze_table(self._model)


def take_table(model: Any, rows: Floats) -> None:
    """Copies the embedding table of another model into `model`, so that `model` need not train one.

    `rows` (V, size) are the rows of the table.
    """
    model.table.embeddings.assign(rows)
    freeze_table(model)


def freeze_table(model: Any) -> None:
    """Freezes the table of `model`, so that it is not trained any more. If the model is a `copy.Copy`, also
    initialises the layer `units` of the model.

    The layer gets the rows of the table with two changes. The mean of all rows is subtracted from each row.
    Then each row is scaled so that its root mean square is that of Keras's initial embeddings. The table
    itself does not change. Models of other variants have no layer `units`.
    """
    model.table.trainable = False
    if not hasattr(model, "units"):
        return
    rows = np.asarray(ops.convert_to_numpy(model.table.embeddings))
    rows = rows - rows.mean(axis=0)
    model.units.embeddings.assign(
        rows * (INITIAL_RMS / np.sqrt(np.mean(rows**2, axis=1, keepdims=True) + 1e-12))
    )


def step_inputs(batches: Iterator[tuple[Ids, Ids]], vocabulary: int) -> Iterator[list[npt.NDArray[Any]]]:
    """Yields the input arrays of `PairScores` for each training step.

    `batches` has the pairs to train on: arrays with the ids of bodies and of titles. `vocabulary` is the
    number of ids in the vocabulary.
    """
    for bodies, titles in rebatched(batches):
        yield [
            *padded(bag(titles, vocabulary)),
            *padded(bag(bodies, vocabulary)),
            np.arange(len(bodies), dtype=np.int32),
        ]


def rebatched(batches: Iterator[tuple[Ids, Ids]]) -> Iterator[tuple[Ids, Ids]]:
    """Divides the bodies and titles of `batches` into new batches of PAIRS_PER_STEP issues. Yields these.

    The last new batch may be smaller.
    """
    pending: list[tuple[Ids, Ids]] = []
    while True:
        batch = next(batches, None)
        if batch is not None:
            pending.append(batch)
        rows = sum(len(bodies) for bodies, _ in pending)
        if rows >= PAIRS_PER_STEP or batch is None:
            if not rows:
                return
            bodies, titles = (np.concatenate(arrays) for arrays in zip(*pending, strict=True))
            end = rows if batch is None else rows - rows % PAIRS_PER_STEP
            for first in range(0, end, PAIRS_PER_STEP):
                last = min(first + PAIRS_PER_STEP, end)
                yield bodies[first:last], titles[first:last]
            if batch is None:
                return
            pending = [(bodies[end:], titles[end:])]


def padded(bag_of_texts: Bag) -> tuple[Ids, Ids, npt.NDArray[np.float32]]:
    """Returns the three arrays of a `Bag`, padded so that their length is a multiple of UNITS_MULTIPLE.

    The padding consists of units (subwords) with the weight 0, which change no result.
    """
    padding = (0, -len(bag_of_texts.texts) % UNITS_MULTIPLE)
    return (
        np.pad(bag_of_texts.texts, padding),
        np.pad(bag_of_texts.units, padding),
        np.pad(bag_of_texts.weights, padding),
    )


def _loss(_: KerasTensor, pairs: KerasTensor) -> KerasTensor:
    return ops.mean(pairs[:, 0])


class _Accuracy(keras.metrics.Mean):
    """A Keras metric: the share of titles whose own body is the nearest of the step's bodies."""

    def __init__(self) -> None:
        super().__init__(name="accuracy")

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        return super().update_state(y_pred[:, 1])
