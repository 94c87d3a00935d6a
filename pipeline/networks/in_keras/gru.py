"""The variants `gru` and `gru_cudnn`: the network of an article, with one GRU for bodies and one for titles.

    body (B, 70)  -> Embedding -> BatchNorm -> GRU ------------> state (B, 300): the issue's embedding
                                                                   |
    title (B, 11) -> Embedding -> BatchNorm -> GRU (from state) -> BatchNorm -> Dense -> logits (B, 11, words)

B is the number of issues. The article is "How To Create Data Products That Are Magical Using
Sequence-to-Sequence Models" (2018). With the article's vocabularies of 8,002 and 4,502 ids, the network has
6,191,702 parameters. The article's last layer was a softmax. This model returns logits; the loss and the
decoding apply the softmax. This gives the same probabilities, and is accurate even for probabilities near 0.
As in the article, padding is not masked: the encoder reads the zeros in front of a short body as words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from pipeline.networks.in_keras.teacher_forcing import TeacherForcing, TrainingBatch
from pipeline.networks.shape import PAD, Ids, Shape


@keras.saving.register_keras_serializable(package="titler", name="hard_sigmoid_of_keras_2")
def hard_sigmoid(x: KerasTensor) -> KerasTensor:
    """Computes clip(0.2 x + 0.5, 0, 1) elementwise: the hard sigmoid in the gates of Keras 2's GRU.

    The hard sigmoid of Keras 3 is a different function: clip(x / 6 + 0.5, 0, 1).
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def build_gru(shape: Shape) -> keras.Model:
    """Builds exactly the network of the article (see the module's docstring).

    Its GRUs apply the reset gate before the matrix product, and use the hard sigmoid of Keras 2.
    """
    return _model("gru", shape, reset_after=False, recurrent_activation=hard_sigmoid)


def build_gru_cudnn(shape: Shape) -> keras.Model:
    """Builds the network of the article, but with a kind of GRU that is much faster on a GPU.

    It is the GRU that cuDNN computes: it applies the reset gate after the matrix product, and uses the
    logistic sigmoid.
    """
    return _model("gru_cudnn", shape, reset_after=True, recurrent_activation="sigmoid")


def _model(name: str, shape: Shape, **gates: Any) -> keras.Model:
    body = keras.Input((shape.body_length,), dtype="int32", name="body")
    x = layers.Embedding(shape.body_vocabulary, shape.embedding_size, name="body_embedding")(body)
    x = layers.BatchNormalization(name="body_norm")(x)
    _, state = layers.GRU(shape.hidden_size, return_state=True, name="encoder", **gates)(x)

    title = keras.Input((shape.decoder_steps,), dtype="int32", name="title")
    y = layers.Embedding(shape.title_vocabulary, shape.embedding_size, name="title_embedding")(title)
    y = layers.BatchNormalization(name="title_norm")(y)
    decoder = layers.GRU(shape.hidden_size, return_sequences=True, name="decoder", **gates)
    y = decoder(y, initial_state=state)
    y = layers.BatchNormalization(name="decoder_norm")(y)
    logits = layers.Dense(shape.title_vocabulary, name="words")(y)
    return keras.Model([body, title], logits, name=name)


class GruDecoder:
    """Adapts a network of the variant `gru` or `gru_cudnn` to beam search. Implements `beam_search.Decoder`.

    The decoder's initial state contains all that the decoder knows about a body, and is also the issue's
    embedding. So the memory (further data about a body) is empty.
    """

    def __init__(self, model: keras.Model) -> None:
        layer = model.get_layer
        self._encoder = keras.Model(layer("body").output, layer("encoder").output[1], name="encode")
        self._embedding, self._norm, self._cell = (
            layer("title_embedding"),
            layer("title_norm"),
            layer("decoder").cell,
        )
        self._state_norm, self._words = layer("decoder_norm"), layer("words")

    def begin(self, body: KerasTensor, shortlist: Ids | None) -> tuple[tuple[()], KerasTensor]:
        """Encodes bodies (B, body_length). Returns an empty memory, and initial states (B, hidden_size).

        `shortlist` is ignored: these variants compute the probabilities of all tokens.
        """
        return (), self._encoder(body, training=False)

    def step(
        self, memory: tuple[()], state: KerasTensor, token: KerasTensor
    ) -> tuple[KerasTensor, KerasTensor]:
        """Computes the probabilities of the next token of each hypothesis (partial title).

        The inputs are the states (B, k, hidden_size) and last tokens (B, k) of k hypotheses per issue.
        Returns the log probability of each token (B, k, title_vocabulary), and the next states.
        """
        embedded = self._norm(self._embedding(token), training=False)
        flat_token, flat_state = (ops.reshape(x, (-1, x.shape[-1])) for x in (embedded, state))
        state = ops.reshape(self._cell(flat_token, [flat_state])[0], ops.shape(state))
        logits = self._words(self._state_norm(state, training=False))
        return logits - ops.logsumexp(logits, axis=-1, keepdims=True), state


def teacher_forcing(model: keras.Model) -> TeacherForcing:
    """Returns the training model, the loss and the metrics for training on titles.

    In training, the decoder reads the true previous token, not the one that it predicted. As in the article,
    the loss is the mean cross-entropy over all positions of a title, including padding.
    """
    return TeacherForcing(
        model=keras.Model(model.inputs, model.outputs, name="teacher_forcing"),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[_TokenLoss(), _TokenAccuracy()],
        loss_is_mean_over="issues",
        training_batches=_training_batches,
    )


def _training_batches(batches: Iterator[tuple[Ids, Ids]]) -> Iterator[TrainingBatch]:
    for bodies, titles in batches:
        targets = titles[:, 1:]
        tokens = int(np.count_nonzero(targets != PAD))
        yield TrainingBatch([bodies, titles[:, :-1]], targets, len(bodies), tokens)


class _TokenLoss(keras.metrics.Mean):
    """A Keras metric: the mean cross-entropy over the tokens of titles, without padding."""

    def __init__(self) -> None:
        super().__init__(name="token_loss")

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        losses = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        return super().update_state(losses, sample_weight=ops.cast(y_true != PAD, losses.dtype))


class _TokenAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """A Keras metric: the share of tokens of titles for which the most probable token is right.

    Padding does not count.
    """

    def __init__(self) -> None:
        super().__init__(name="token_accuracy")

    def update_state(self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: None = None) -> Any:
        return super().update_state(y_true, y_pred, sample_weight=ops.cast(y_true != PAD, y_pred.dtype))
