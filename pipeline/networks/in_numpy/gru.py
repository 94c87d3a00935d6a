"""The variants `gru` and `gru_cudnn` in NumPy.

`pipeline.networks.in_keras.gru` has a diagram of the network.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.networks.in_numpy.gru_cells import GruCell
from pipeline.networks.in_numpy.softmax import log_sum_exp
from pipeline.networks.in_numpy.weights_file import Weights, WeightShapes, check_shapes
from pipeline.networks.shape import Description, Floats, Ids, Shape

EPSILON = 1e-3
"""The number that batch normalisation adds to the variance: Keras's default."""


class Gru:
    """A network of the variant `gru` or `gru_cudnn` in NumPy. Implements `beam_search.Decoder`.

    These variants have no shortlist, so the shortlist in `description` is ignored. Raises ValueError if the
    weights do not fit the shape.
    """

    def __init__(self, cell: type[GruCell], description: Description, weights: Weights) -> None:
        shape = description.shape
        check_shapes(weights, _weight_shapes(cell, shape))
        self._size = shape.hidden_size
        (self._body,), (self._title,) = weights["body_embedding"], weights["title_embedding"]
        self._body_norm, self._title_norm, self._state_norm = (
            _batch_norm(*weights[f"{name}_norm"]) for name in ("body", "title", "decoder")
        )
        self._encoder, self._decoder = (cell(*weights[name]) for name in ("encoder", "decoder"))
        self._words, self._words_bias = weights["words"]

    def embed(self, body: Ids, title: Ids | None) -> Floats:
        """Returns the embeddings (B, hidden_size) of issues: the encoder's states at the end of the bodies.

        Titles are ignored.
        """
        return self._encoded(body)

    def embed_decoded(self, body: Ids, initial_state: Floats) -> Floats:
        """Returns `initial_state` (B, hidden_size), because it is also the embedding of the issues."""
        return initial_state

    def begin(self, body: Ids) -> tuple[None, Floats, Ids]:
        """Encodes bodies (B, body_length).

        Returns None (no memory), the initial states (B, hidden_size), and the tokens that are considered for
        each title (B, C). These are all tokens of the vocabulary of titles.
        """
        tokens = np.arange(len(self._words_bias), dtype=np.int32)
        return None, self._encoded(body), np.broadcast_to(tokens, (len(body), len(tokens)))

    def _encoded(self, body: Ids) -> Floats:
        state = np.zeros((len(body), self._size), np.float32)
        for column in body.T:
            projected = self._encoder.project(self._body_norm(self._body[column]))
            state = self._encoder.advance(projected, state)
        return state

    def select(self, memory: None, issues: npt.NDArray[np.int64]) -> None:
        """Returns None, because the networks of this class have no memory."""

    def step(self, memory: None, state: Floats, token: Ids) -> tuple[Floats, Floats, Floats]:
        """Computes the probabilities of the next token of each hypothesis (partial title).

        For the inputs and the results, see `beam_search.Decoder.step`.
        """
        projected = self._decoder.project(self._title_norm(self._title[token.reshape(-1)]))
        hidden = self._decoder.advance(projected, state.reshape(-1, self._size))
        logits = self._state_norm(hidden) @ self._words
        logits += self._words_bias
        offsets = -log_sum_exp(logits)
        return logits.reshape(*token.shape, -1), offsets.reshape(token.shape), hidden.reshape(state.shape)


def _batch_norm(gamma: Floats, beta: Floats, mean: Floats, variance: Floats) -> Callable[[Floats], Floats]:
    """Returns a function that applies batch normalisation with fixed statistics, as at inference.

    It computes gamma (x - mean) / sqrt(variance + EPSILON) + beta, with only one product and one sum.
    """
    scale = gamma / np.sqrt(variance + np.float32(EPSILON))
    shift = beta - mean * scale
    return lambda x: x * scale + shift


def _weight_shapes(cell: type[GruCell], shape: Shape) -> WeightShapes:
    word, state = shape.embedding_size, shape.hidden_size
    return {
        "body_embedding": [(shape.body_vocabulary, word)],
        "body_norm": [(word,)] * 4,
        "encoder": cell.weight_shapes(word, state),
        "title_embedding": [(shape.title_vocabulary, word)],
        "title_norm": [(word,)] * 4,
        "decoder": cell.weight_shapes(word, state),
        "decoder_norm": [(state,)] * 4,
        "words": [(state, shape.title_vocabulary), (shape.title_vocabulary,)],
    }
