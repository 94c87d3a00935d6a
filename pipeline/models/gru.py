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

from typing import Any

import keras
from keras import KerasTensor, layers, ops

from pipeline.shape import Shape


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
    told = layers.GRU(shape.hidden_size, return_sequences=True, name="decoder", **gates)(told, initial_state=state)
    told = layers.BatchNormalization(name="decoder_norm")(told)
    logits = layers.Dense(shape.title_vocabulary, name="words")(told)
    return keras.Model([body, title], logits, name=name)
