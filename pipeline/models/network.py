"""A network at work: bodies in, embeddings and titles out, a batch of issues at a time."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt
from keras import KerasTensor, ops

from pipeline.shape import BATCH_SIZE, PAD, UNKNOWN, Decoded, Floats, Ids, Shape

SMALL_BATCHES = (1, 8, 64)
"""Fewer issues than a batch are padded to the next of these: few sizes, so few compilations, and one issue costs one issue."""


class Network:
    """A variant of the network with its weights.

    `model` takes [body (B, body_length), title (B, steps)] int32 and gives logits (B, steps, title_vocabulary) float32. Its
    layers are called body_embedding, body_norm, encoder, title_embedding, title_norm, decoder, decoder_norm and words.
    """

    def __init__(self, variant: str, shape: Shape, model: keras.Model) -> None:
        self.variant = variant
        self.shape = shape
        self.model = model
        self._encoder = keras.Model(model.get_layer("body").output, model.get_layer("encoder").output[1], name="encode")
        self._decoders: dict[tuple[int, int], _Greedy] = {}

    def encode(self, body_ids: npt.ArrayLike, batch_size: int = BATCH_SIZE) -> Floats:
        """The embeddings (n, hidden_size) of bodies (n, body_length)."""
        batches = padded_batches(self.shape.checked(body_ids), batch_size)
        states = [np.asarray(self._encoder.predict_on_batch(batch))[:rows] for batch, rows in batches]
        return np.concatenate(states) if states else self.shape.no_titles().states

    def greedy(self, body_ids: npt.ArrayLike, start: int, end: int, batch_size: int = BATCH_SIZE) -> Decoded:
        """The likeliest next token, again and again, for all issues of a batch at once; `start` and `end` are the ids of _start_ and _end_.

        Never writes 0 (padding), 1 (unknown) or `start`: their probabilities are passed over, not shared out among the
        other words, so a title that needs a word the model does not know is told with less confidence.
        """
        if (start, end) not in self._decoders:
            self._decoders[start, end] = _Greedy(self._encoder, self.model, self.shape, start, end)
        decoder = self._decoders[start, end]
        batches = padded_batches(self.shape.checked(body_ids), batch_size)
        parts = [[np.asarray(part)[:rows] for part in decoder.predict_on_batch(batch)] for batch, rows in batches]
        return Decoded(*(np.concatenate(part) for part in zip(*parts, strict=True))) if parts else self.shape.no_titles()


class _Greedy(keras.Model):
    """Bodies (B, body_length) -> the four arrays of Decoded; the steps are unrolled into one compiled function."""

    def __init__(self, encoder: keras.Model, model: keras.Model, shape: Shape, start: int, end: int) -> None:
        super().__init__(name="greedy")
        self.encoder = encoder
        self.embedding = model.get_layer("title_embedding")
        self.norm = model.get_layer("title_norm")
        self.cell = model.get_layer("decoder").cell
        self.state_norm = model.get_layer("decoder_norm")
        self.words = model.get_layer("words")
        self._steps = shape.steps
        self._start, self._end = start, end
        barred = np.zeros((1, shape.title_vocabulary), np.float32)
        barred[0, [PAD, UNKNOWN, start]] = -np.inf
        self._barred = barred

    def call(self, body: KerasTensor) -> tuple[KerasTensor, KerasTensor, KerasTensor, KerasTensor]:
        state = hidden = self.encoder(body, training=False)
        token = ops.full_like(body[:, 0], self._start)
        writing = ops.ones_like(hidden[:, 0])  # 1 while a title is being written, 0 after its _end_
        total, tokens, words = ops.zeros_like(writing), ops.zeros_like(writing), ops.zeros_like(writing)
        title = []
        for _ in range(self._steps):
            told = self.norm(self.embedding(token[:, None]), training=False)[:, 0]
            hidden, _ = self.cell(told, [hidden])
            logits = self.words(self.state_norm(hidden[:, None], training=False))[:, 0]
            token = ops.cast(ops.argmax(logits + self._barred, axis=-1), "int32")
            chosen = ops.take_along_axis(logits, token[:, None], axis=-1)[:, 0] - ops.logsumexp(logits, axis=-1)
            token = token * ops.cast(writing, "int32")
            total, tokens = total + writing * chosen, tokens + writing
            writing = writing * ops.cast(token != self._end, writing.dtype)
            words = words + writing
            title.append(token)
        return ops.stack(title, axis=1), ops.cast(words, "int32"), total / tokens, state


def padded_batches(ids: Ids, batch_size: int) -> Iterator[tuple[Ids, int]]:
    """The rows in batches that are padded with rows of zeros to one of few sizes, each with how many of its rows count."""
    for first in range(0, len(ids), batch_size):
        rows = ids[first : first + batch_size]
        size = batch_size if first else min((size for size in SMALL_BATCHES if len(rows) <= size < batch_size), default=batch_size)
        yield np.pad(rows, ((0, size - len(rows)), (0, 0))), len(rows)
