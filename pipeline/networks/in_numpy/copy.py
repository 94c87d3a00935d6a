"""The variant `copy` in NumPy. `pipeline.networks.in_keras.copy` has a diagram of it, and the sources."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.networks.bag_of_units import embedding
from pipeline.networks.in_numpy.gru_cells import CUDNN_GATES, GruCell, sigmoid
from pipeline.networks.in_numpy.weights_file import Weights, WeightShapes, check_shapes
from pipeline.networks.shape import PAD, Floats, Ids, Shape

TINY = np.float32(1e-20)
"""A number that is added to probabilities so that none is 0, as in `pipeline.networks.in_keras.copy`."""
ENCODER_LAYERS = (("forward_half", "backward_half"), ("forward_upper_half", "backward_upper_half"))
"""Names of the stored weights of the encoder's layers: for each layer its forward and its backward GRU."""
Memory = tuple[Ids, Floats, Floats]
"""The bodies (B, S), the encoder's outputs (B, S, H) and the keys of the attention (B, S, H)."""


class Copy:
    """A network of the variant `copy`, as a `Decoder`.

    Raises ValueError if the weights do not fit the shape.
    """

    def __init__(self, shape: Shape, weights: Weights) -> None:
        check_shapes(weights, _weight_shapes(shape))
        (self._units,), (self._table,), (self._keys,) = (weights[name] for name in ("units", "table", "keys"))
        self._encoder = [
            [GruCell(CUDNN_GATES, *weights[name]) for name in names]
            for names in ENCODER_LAYERS[: shape.layers]
        ]
        self._writer = GruCell(CUDNN_GATES, *weights["writer"])
        self._dense = {name: weights[name] for name in ("bridge", "combine", "project", "gate")}

    def embed(self, body: Ids, title: Ids | None) -> Floats:
        """Implements the method of `beam_search.Decoder` with the same name."""
        return embedding(self._table, body, title)

    def embed_decoded(self, body: Ids, initial_state: Floats) -> Floats:
        """Implements the method of `beam_search.Decoder` with the same name."""
        return embedding(self._table, body, None)

    def begin(self, body: Ids) -> tuple[Memory, Floats]:
        """Implements the method of `beam_search.Decoder` with the same name."""
        body = body[:, : max(1, np.flatnonzero((body != PAD).any(axis=0)).max(initial=0) + 1)]
        encoded, last_states = self._bidirectional(self._units[body], body != PAD, self._encoder[0])
        for cells in self._encoder[1:]:
            outputs, last_states = self._bidirectional(encoded, body != PAD, cells)
            encoded = encoded + outputs
        return (body, encoded, encoded @ self._keys), np.tanh(self._apply("bridge", last_states))

    def _bidirectional(
        self, inputs: Floats, is_token: npt.NDArray[np.bool_], cells: list[GruCell]
    ) -> tuple[Floats, Floats]:
        """Runs a forward and a backward GRU over `inputs` (B, S, H). States do not change at padding.

        Returns the states of both at each position (B, S, H), and the last states of both (B, H). `is_token`
        (B, S) is false at padding.
        """
        states, half = np.zeros(inputs.shape, np.float32), inputs.shape[-1] // 2
        last_states: list[Floats] = []
        for number, (cell, direction) in enumerate(zip(cells, (1, -1), strict=True)):
            state = np.zeros((len(inputs), half), np.float32)
            for position in range(inputs.shape[1])[::direction]:
                np.copyto(state, cell.step(inputs[:, position], state), where=is_token[:, position, None])
                states[:, position, number * half : (number + 1) * half] = state
            last_states.append(state)
        return states, np.concatenate(last_states, axis=-1)

    def step(self, memory: Memory, state: Floats, token: Ids) -> tuple[Floats, Floats]:
        """Implements the method of `beam_search.Decoder` with the same name."""
        body, encoded, keys = memory
        embedded = self._units[token]
        size = state.shape[-1]
        state = self._writer.step(embedded.reshape(-1, size), state.reshape(-1, size)).reshape(state.shape)
        scores = state @ keys.swapaxes(1, 2)
        attention = _softmax(np.where((body != PAD)[:, None], scores, scores - np.float32(1e9)))
        state_and_context = np.concatenate([state, attention @ encoded], axis=-1)
        gate = sigmoid(self._apply("gate", np.concatenate([state_and_context, embedded], axis=-1)))
        logits = self._apply("project", np.tanh(self._apply("combine", state_and_context))) @ self._units.T
        p = gate * _softmax(logits)
        issue, hypothesis, _ = np.ogrid[: p.shape[0], : p.shape[1], :1]
        np.add.at(p, (issue, hypothesis, body[:, None]), (1 - gate) * attention)
        return np.log(p + TINY), state

    def _apply(self, name: str, x: Floats) -> Floats:
        kernel, bias = self._dense[name]
        return x @ kernel + bias


def _softmax(x: Floats) -> Floats:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _weight_shapes(shape: Shape) -> WeightShapes:
    vocabulary, size = shape.title_vocabulary, shape.hidden_size
    half = CUDNN_GATES.weight_shapes(size, size // 2)
    return {
        "units": [(vocabulary, size)],
        **{name: half for names in ENCODER_LAYERS[: shape.layers] for name in names},
        "bridge": [(size, size), (size,)],
        "writer": CUDNN_GATES.weight_shapes(size, size),
        "keys": [(size, size)],
        "combine": [(2 * size, size), (size,)],
        "project": [(size, size), (size,)],
        "gate": [(3 * size, 1), (1,)],
        "table": [(vocabulary, size)],
    }
