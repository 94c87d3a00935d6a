"""The article's network, and the one with cuDNN's GRU: `pipeline.networks.in_keras.gru` in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.networks.in_numpy.gru_cells import Cell, Gates
from pipeline.networks.in_numpy.saving import Sizes, Weights, check
from pipeline.networks.shape import Floats, Ids, Shape

EPSILON = 1e-3
"""Keras's, in batch normalisation's square root"""


class Gru:
    """The network as `search` takes it. Raises ValueError for weights that do not fit the shape."""

    def __init__(self, gates: Gates, shape: Shape, weights: Weights) -> None:
        check(weights, _sizes(gates, shape))
        self._size = shape.hidden_size
        (self._body,), (self._title,) = weights["body_embedding"], weights["title_embedding"]
        self._body_norm, self._title_norm, self._state_norm = (
            _norm(*weights[f"{name}_norm"]) for name in ("body", "title", "decoder")
        )
        self._encoder, self._decoder = (Cell(gates, *weights[name]) for name in ("encoder", "decoder"))
        self._words, self._words_bias = weights["words"]

    def embed(self, body: Ids, title: Ids | None) -> Floats:
        """The embeddings (B, hidden_size): the encoder's states. It reads no titles."""
        return self.begin(body)[1]

    def embedded(self, body: Ids, state: Floats) -> Floats:
        """As `search.Steps`."""
        return state

    def begin(self, body: Ids) -> tuple[None, Floats]:
        """As `search.Steps`."""
        state = np.zeros((len(body), self._size), np.float32)
        for column in body.T:
            state = self._encoder.step(self._body_norm(self._body[column]), state)
        return None, state

    def step(self, memory: None, state: Floats, token: Ids) -> tuple[Floats, Floats]:
        """As `search.Steps`."""
        told = self._title_norm(self._title[token.reshape(-1)])
        hidden = self._decoder.step(told, state.reshape(-1, self._size))
        logits = self._state_norm(hidden) @ self._words + self._words_bias
        logits -= logits.max(axis=-1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return logs.reshape(*token.shape, -1), hidden.reshape(state.shape)


def _norm(gamma: Floats, beta: Floats, mean: Floats, variance: Floats) -> Callable[[Floats], Floats]:
    """Batch normalisation at inference: gamma (x - mean) / sqrt(variance + EPSILON) + beta, as one product and one sum."""
    scale = gamma / np.sqrt(variance + np.float32(EPSILON))
    shift = beta - mean * scale
    return lambda x: x * scale + shift


def _sizes(gates: Gates, shape: Shape) -> Sizes:
    word, state = shape.embedding_size, shape.hidden_size
    return {
        "body_embedding": [(shape.body_vocabulary, word)],
        "body_norm": [(word,)] * 4,
        "encoder": gates.sizes(word, state),
        "title_embedding": [(shape.title_vocabulary, word)],
        "title_norm": [(word,)] * 4,
        "decoder": gates.sizes(word, state),
        "decoder_norm": [(state,)] * 4,
        "words": [(state, shape.title_vocabulary), (shape.title_vocabulary,)],
    }
