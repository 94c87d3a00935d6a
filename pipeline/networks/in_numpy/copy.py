"""The network that copies: `pipeline.networks.in_keras.copy` in NumPy, where its diagram and sources stand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.networks.bag_of_units import embedding
from pipeline.networks.in_numpy.gru_cells import CUDNNS, Cell, sigmoid
from pipeline.networks.in_numpy.saving import Sizes, Weights, check
from pipeline.networks.shape import PAD, Floats, Ids, Shape

TINY = np.float32(1e-20)
"""under every probability, as in `pipeline.networks.in_keras.copy`"""
READERS = (("forward_half", "backward_half"), ("forward_upper_half", "backward_upper_half"))
"""the layers that read, each of a GRU for either way"""
Memory = tuple[Ids, Floats, Floats]
"""a batch's bodies (B, S), what the encoder made of each place, and the keys of the attention, both (B, S, H)"""


class Copy:
    """The network as `search` takes it. Raises ValueError for weights that do not fit the shape."""

    def __init__(self, shape: Shape, weights: Weights) -> None:
        check(weights, _sizes(shape))
        (self._units,), (self._table,), (self._keys,) = (weights[name] for name in ("units", "table", "keys"))
        self._readers = [
            [Cell(CUDNNS, *weights[name]) for name in names] for names in READERS[: shape.layers]
        ]
        self._writer = Cell(CUDNNS, *weights["writer"])
        self._dense = {name: weights[name] for name in ("bridge", "combine", "project", "gate")}

    def embed(self, body: Ids, title: Ids | None) -> Floats:
        """The embeddings (B, hidden_size) of bodies (B, body_length) and titles (B, title_length), or of bodies alone."""
        return embedding(self._table, body, title)

    def embedded(self, body: Ids, state: Floats) -> Floats:
        """As `search.Steps`."""
        return embedding(self._table, body, None)

    def begin(self, body: Ids) -> tuple[Memory, Floats]:
        """As `search.Steps`."""
        body = body[:, : max(1, np.flatnonzero((body != PAD).any(axis=0)).max(initial=0) + 1)]
        places, last = self._read(self._units[body], body != PAD, self._readers[0])
        for reader in self._readers[1:]:
            more, last = self._read(places, body != PAD, reader)
            places = places + more
        return (body, places, places @ self._keys), np.tanh(self._apply("bridge", last))

    def _read(self, given: Floats, told: npt.NDArray[np.bool_], ways: list[Cell]) -> tuple[Floats, Floats]:
        """The states of two GRUs, one each way, at each place (B, S, H), and the last ones (B, H); they stand still at padding."""
        states, half = np.zeros(given.shape, np.float32), given.shape[-1] // 2
        lasts: list[Floats] = []
        for number, (cell, direction) in enumerate(zip(ways, (1, -1), strict=True)):
            state = np.zeros((len(given), half), np.float32)
            for place in range(given.shape[1])[::direction]:
                np.copyto(state, cell.step(given[:, place], state), where=told[:, place, None])
                states[:, place, number * half : (number + 1) * half] = state
            lasts.append(state)
        return states, np.concatenate(lasts, axis=-1)

    def step(self, memory: Memory, state: Floats, token: Ids) -> tuple[Floats, Floats]:
        """As `search.Steps`."""
        body, places, keys = memory
        told = self._units[token]
        size = state.shape[-1]
        state = self._writer.step(told.reshape(-1, size), state.reshape(-1, size)).reshape(state.shape)
        scores = state @ keys.swapaxes(1, 2)
        attention = _softmax(np.where((body != PAD)[:, None], scores, scores - np.float32(1e9)))
        seen = np.concatenate([state, attention @ places], axis=-1)
        gate = sigmoid(self._apply("gate", np.concatenate([seen, told], axis=-1)))
        logits = self._apply("project", np.tanh(self._apply("combine", seen))) @ self._units.T
        p = gate * _softmax(logits)
        issue, beginning, _ = np.ogrid[: p.shape[0], : p.shape[1], :1]
        np.add.at(p, (issue, beginning, body[:, None]), (1 - gate) * attention)
        return np.log(p + TINY), state

    def _apply(self, name: str, x: Floats) -> Floats:
        kernel, bias = self._dense[name]
        return x @ kernel + bias


def _softmax(x: Floats) -> Floats:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _sizes(shape: Shape) -> Sizes:
    words, size = shape.title_vocabulary, shape.hidden_size
    return {
        "units": [(words, size)],
        **{name: CUDNNS.sizes(size, size // 2) for names in READERS[: shape.layers] for name in names},
        "bridge": [(size, size), (size,)],
        "writer": CUDNNS.sizes(size, size),
        "keys": [(size, size)],
        "combine": [(2 * size, size), (size,)],
        "project": [(size, size), (size,)],
        "gate": [(3 * size, 1), (1,)],
        "table": [(words, size)],
    }
