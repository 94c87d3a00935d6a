"""The article's network: a GRU reads the body, a second one writes the title.

    body (B, 70)  -> Embedding -> BatchNorm -> GRU ------------> state (B, 300): the issue's embedding
                                                                   |
    title (B, 11) -> Embedding -> BatchNorm -> GRU (from that state) -> BatchNorm -> Dense -> logits (B, 11, words)

Source: "How To Create Data Products That Are Magical Using Sequence-to-Sequence Models" (2018). At its vocabularies of
8,002 and 4,502 ids it has 6,191,702 parameters. Its last layer was a softmax: here the logits come out, and the loss and
the decoding apply the softmax themselves, which is the same function and survives probabilities near 0. Padding is not
masked, as in the article: the encoder reads the zeros in front of a short body as words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from pipeline.networks.in_keras.teacher_forcing import Batch, Lesson
from pipeline.networks.shape import PAD, Ids, Shape


@keras.saving.register_keras_serializable(package="titler", name="hard_sigmoid_of_keras_2")
def hard_sigmoid(x: KerasTensor) -> KerasTensor:
    """clip(0.2 x + 0.5, 0, 1), elementwise: Keras 2's hard sigmoid, and its GRU's gate. Keras 3's own is clip(x / 6 + 0.5, 0, 1)."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def gru(shape: Shape) -> keras.Model:
    """The article's network exactly: the reset gate before the matrix product, Keras 2's hard sigmoid."""
    return _network("gru", shape, reset_after=False, recurrent_activation=hard_sigmoid)


def gru_cudnn(shape: Shape) -> keras.Model:
    """The same with cuDNN's GRU, much quicker on a GPU: the reset gate after the matrix product, a true sigmoid."""
    return _network("gru_cudnn", shape, reset_after=True, recurrent_activation="sigmoid")


def _network(name: str, shape: Shape, **gates: Any) -> keras.Model:
    body = keras.Input((shape.body_length,), dtype="int32", name="body")
    read = layers.Embedding(shape.body_vocabulary, shape.embedding_size, name="body_embedding")(body)
    read = layers.BatchNormalization(name="body_norm")(read)
    _, state = layers.GRU(shape.hidden_size, return_state=True, name="encoder", **gates)(read)

    title = keras.Input((shape.steps,), dtype="int32", name="title")
    told = layers.Embedding(shape.title_vocabulary, shape.embedding_size, name="title_embedding")(title)
    told = layers.BatchNormalization(name="title_norm")(told)
    told = layers.GRU(shape.hidden_size, return_sequences=True, name="decoder", **gates)(
        told, initial_state=state
    )
    told = layers.BatchNormalization(name="decoder_norm")(told)
    logits = layers.Dense(shape.title_vocabulary, name="words")(told)
    return keras.Model([body, title], logits, name=name)


class GruSteps:
    """Its parts, as `search` takes them. There is nothing to remember beside the state, which is the issue's embedding."""

    def __init__(self, model: keras.Model) -> None:
        layer = model.get_layer
        self._encoder = keras.Model(layer("body").output, layer("encoder").output[1], name="encode")
        self._embedding, self._norm, self._cell = (
            layer("title_embedding"),
            layer("title_norm"),
            layer("decoder").cell,
        )
        self._state_norm, self._words = layer("decoder_norm"), layer("words")

    def begin(self, body: KerasTensor) -> tuple[tuple[()], KerasTensor]:
        """Bodies (B, body_length) -> states (B, hidden_size)."""
        return (), self._encoder(body, training=False)

    def step(
        self, memory: tuple[()], state: KerasTensor, token: KerasTensor
    ) -> tuple[KerasTensor, KerasTensor]:
        """States (B, k, hidden_size) and the tokens (B, k) last written -> log p of the next (B, k, title_vocabulary), states."""
        told = self._norm(self._embedding(token), training=False)
        flat = [ops.reshape(each, (-1, each.shape[-1])) for each in (told, state)]
        state = ops.reshape(self._cell(flat[0], [flat[1]])[0], ops.shape(state))
        logits = self._words(self._state_norm(state, training=False))
        return logits - ops.logsumexp(logits, axis=-1, keepdims=True), state


def lesson(model: keras.Model) -> Lesson:
    """The article's: the mean cross-entropy over all places of a title, padding included."""
    return Lesson(
        model=keras.Model(model.inputs, model.outputs, name="teacher_forcing"),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[_TokenLoss(), _TokenAccuracy()],
        loss_over="issues",
        batches=_batches,
    )


def _batches(batches: Iterator[tuple[Ids, Ids]]) -> Iterator[Batch]:
    for bodies, titles in batches:
        targets = titles[:, 1:]
        yield Batch([bodies, titles[:, :-1]], targets, len(bodies), int(np.count_nonzero(targets != PAD)))


class _TokenLoss(keras.metrics.Mean):
    """Mean cross-entropy over the positions that are no padding."""

    def __init__(self) -> None:
        super().__init__(name="token_loss")

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        losses = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        return super().update_state(losses, sample_weight=ops.cast(y_true != PAD, losses.dtype))


class _TokenAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Share of the positions that are no padding whose token is the likeliest one."""

    def __init__(self) -> None:
        super().__init__(name="token_accuracy")

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        return super().update_state(y_true, y_pred, sample_weight=ops.cast(y_true != PAD, y_pred.dtype))
