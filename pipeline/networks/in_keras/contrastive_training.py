"""The table of `pipeline.networks.bag_of_units`, learned from which title belongs to which body.

    bodies (P, .) -> bags -> table -> unit length --+
                                                    +--> cosines (P, P) / TEMPERATURE: a title's own body is the right one, the others not
    titles (P, .) -> bags -> table -> unit length --+

Both ways, titles to bodies and bodies to titles, are asked, and the cross-entropies averaged. Sources: van den Oord, Li and Vinyals 2018,
"Representation Learning with Contrastive Predictive Coding", equation 4; Wu et al. 2018, "StarSpace: Embed All The Things!", 3 (bags of
features, one table for both sides). A row starts at random, as long as its unit is rare: cosines of such sums come close to those
of TF-IDF, and learning begins there.
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

from pipeline.networks.bag_of_units import Bag, bag, rarity
from pipeline.networks.in_keras.prefetch import ahead
from pipeline.networks.shape import Ids

PAIRS = 512
"""pairs a step: each has all others for its negatives"""
TEMPERATURE = 0.05
LEARNING_RATE = 0.05
PACK = 8192
"""units of a step are computed in multiples of it: few sizes, so few compilations"""
INITIAL_RMS = 0.05 / 3**0.5
"""root mean square of Keras's own initial embeddings, uniform from -0.05 to 0.05"""


@dataclass(frozen=True)
class ContrastFigures:
    """An epoch of it."""

    epoch: int
    """from 1"""
    issues: int
    loss: float
    """mean cross-entropy of the right one among the pairs of a step, natural logarithm"""
    accuracy: float
    """share of titles whose own body is the nearest among the step's"""
    seconds: float = field(compare=False)

    @property
    def group(self) -> str:
        """What the figures are listed under."""
        return "contrast"


class RowAdagrad(keras.optimizers.Optimizer):
    """Adagrad with one accumulator a row, the mean of its squared gradients: a row is one unit, seen often or seldom as a whole.

    Source: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods", with its diagonal shared along a row.
    """

    def build(self, variables: list[keras.Variable]) -> None:
        if not self.built:
            super().build(variables)
            self._sums = [self.add_variable((variable.shape[0], 1), name="sums") for variable in variables]

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        # TensorFlow gives the rows looked up, each as often as it was: this adds them up
        gradient = ops.reshape(ops.convert_to_tensor(gradient), variable.shape)
        total = self._sums[self._get_variable_index(variable)]
        self.assign_add(total, ops.mean(ops.square(gradient), axis=-1, keepdims=True))
        self.assign_sub(variable, learning_rate * gradient / (ops.sqrt(total) + 1e-8))


class Pairs(keras.Model):
    """The bags of P titles and of P bodies, each as texts (m,), units (m,) and weights (m,), and the numbers (P,) of the pairs ->
    (P, 2): each pair's loss, and whether its title's nearest body is its own."""

    def __init__(self, table: keras.layers.Embedding) -> None:
        super().__init__(name="pairs", dtype="float32")  # whatever the policy: its matrices are small
        self.table = table

    def call(self, inputs: list[KerasTensor]) -> KerasTensor:
        *bags, pair = inputs
        titles, bodies = self.vectors(bags[:3], pair), self.vectors(bags[3:], pair)
        cosines = ops.matmul(titles, ops.transpose(bodies)) / TEMPERATURE
        right = ops.sum(titles * bodies, axis=-1) / TEMPERATURE
        loss = (ops.logsumexp(cosines, axis=0) + ops.logsumexp(cosines, axis=1)) / 2 - right
        nearest = ops.cast(ops.argmax(cosines, axis=1), "int32") == pair
        return ops.stack([loss, ops.cast(nearest, loss.dtype)], axis=-1)

    def vectors(self, bags: list[KerasTensor], pair: KerasTensor) -> KerasTensor:
        """(P, size), each of length 1, or 0 for a text without units."""
        texts, units, weights = bags
        weighted = self.table(units) * weights[:, None]
        sums = ops.segment_sum(weighted, texts, ops.shape(pair)[0])
        return sums * ops.rsqrt(ops.sum(ops.square(sums), axis=-1, keepdims=True) + 1e-12)


class Contrast:
    """The learning of a model's table, epoch by epoch."""

    def __init__(self, model: Any) -> None:
        """`model` is a `copy.Copy`: its `table` is what learns, its `units` get their first values from it."""
        self._model = model
        self._vocabulary: int = model.words
        self._pairs = Pairs(model.table)
        model.table.trainable = True
        self.optimizer = RowAdagrad(LEARNING_RATE)
        self.optimizer.build(self._pairs.trainable_variables)
        self._pairs.compile(self.optimizer, _loss, metrics=[_Accuracy()])

    def begin(self, batches: Iterator[tuple[Ids, Ids]]) -> None:
        """Makes the rows of rare units long, from one look at all that there is to learn from."""
        rows = self._model.table.embeddings
        rows.assign(np.asarray(ops.convert_to_numpy(rows)) * rarity(batches, self._vocabulary)[:, None])

    def epoch(self, number: int, batches: Iterator[tuple[Ids, Ids]]) -> ContrastFigures:
        """Learns from every pair once."""
        began = time.monotonic()
        issues, loss, accuracy = 0, 0.0, 0.0
        with ahead(steps(batches, self._vocabulary)) as made:
            for inputs in made:
                pairs = len(inputs[-1])
                self._pairs.reset_metrics()
                logs = self._pairs.train_on_batch(inputs, np.zeros((pairs, 1), np.float32), return_dict=True)
                issues += pairs
                loss += float(logs["loss"]) * pairs
                accuracy += float(logs["accuracy"]) * pairs
        return ContrastFigures(
            number, issues, loss / max(1, issues), accuracy / max(1, issues), time.monotonic() - began
        )

    def finish(self) -> None:
        """The table stays as it is from here on; the units of the network that writes titles begin with its directions."""
        self._model.table.trainable = False
        rows = np.asarray(ops.convert_to_numpy(self._model.table.embeddings))
        rows = rows - rows.mean(axis=0)
        self._model.units.embeddings.assign(
            rows * (INITIAL_RMS / np.sqrt(np.mean(rows**2, axis=1, keepdims=True) + 1e-12))
        )


def steps(batches: Iterator[tuple[Ids, Ids]], vocabulary: int) -> Iterator[list[npt.NDArray[Any]]]:
    """What `Pairs` takes, a step at a time."""
    for bodies, titles in regrouped(batches):
        yield [
            *packed(bag(titles, vocabulary)),
            *packed(bag(bodies, vocabulary)),
            np.arange(len(bodies), dtype=np.int32),
        ]


def regrouped(batches: Iterator[tuple[Ids, Ids]]) -> Iterator[tuple[Ids, Ids]]:
    """The same pairs, PAIRS at a time, the last ones fewer."""
    waiting: list[tuple[Ids, Ids]] = []
    while True:
        batch = next(batches, None)
        if batch is not None:
            waiting.append(batch)
        rows = sum(len(bodies) for bodies, _ in waiting)
        if rows >= PAIRS or batch is None:
            if not rows:
                return
            bodies, titles = (np.concatenate(part) for part in zip(*waiting, strict=True))
            whole = rows if batch is None else rows - rows % PAIRS
            for first in range(0, whole, PAIRS):
                yield bodies[first : min(first + PAIRS, whole)], titles[first : min(first + PAIRS, whole)]
            if batch is None:
                return
            waiting = [(bodies[whole:], titles[whole:])]


def packed(found: Bag) -> tuple[Ids, Ids, npt.NDArray[np.float32]]:
    """The bag's arrays with units of weight 0 behind them."""
    spare = (0, -len(found.texts) % PACK)
    return np.pad(found.texts, spare), np.pad(found.units, spare), np.pad(found.weights, spare)


def _loss(_: KerasTensor, pairs: KerasTensor) -> KerasTensor:
    return ops.mean(pairs[:, 0])


class _Accuracy(keras.metrics.Mean):
    def __init__(self) -> None:
        super().__init__(name="accuracy")

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        return super().update_state(y_pred[:, 1])
