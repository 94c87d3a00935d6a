"""The GRU's step, with x the word, h the state, and the columns of W, U and b in the order z, r, g (Cho et al. 2014):

z, r = s(x W + h U + b)     update and reset gate
g    = tanh(x W + (r h) U + b)              gru: reset before the product; s(a) = clip(0.2 a + 0.5, 0, 1)
g    = tanh(x W + b0 + r (h U + b1))        cuDNN's: reset after the product; s is the logistic function
h'   = z h + (1 - z) g
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.networks.shape import Floats


def hard_sigmoid(x: Floats) -> Floats:
    """clip(0.2 x + 0.5, 0, 1), elementwise: Keras 2's."""
    return np.clip(np.float32(0.2) * x + np.float32(0.5), 0, 1)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), elementwise, written so that nothing overflows."""
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))


@dataclass(frozen=True)
class Gates:
    """How a GRU works."""

    activation: Callable[[Floats], Floats]
    reset_after: bool

    def sizes(self, word: int, state: int) -> list[tuple[int, ...]]:
        """The shapes of its weights."""
        return [(word, 3 * state), (state, 3 * state), (2, 3 * state) if self.reset_after else (3 * state,)]


ARTICLES = Gates(hard_sigmoid, reset_after=False)
CUDNNS = Gates(sigmoid, reset_after=True)


class Cell:
    """Words (B, word size) and states (B, state size) in, states out."""

    def __init__(self, gates: Gates, kernel: Floats, recurrent: Floats, bias: Floats) -> None:
        self._size = len(recurrent)
        self._activation, self._reset_after = gates.activation, gates.reset_after
        self._kernel = kernel
        self._bias: Floats = bias[0] if gates.reset_after else bias
        self._gate_kernel, self._news_kernel = recurrent[:, : 2 * self._size], recurrent[:, 2 * self._size :]
        recurrent_bias: Floats = bias[1] if gates.reset_after else np.zeros_like(bias)
        self._gate_bias, self._news_bias = recurrent_bias[: 2 * self._size], recurrent_bias[2 * self._size :]

    def step(self, word: Floats, state: Floats) -> Floats:
        """The state after a word."""
        read = word @ self._kernel + self._bias
        gates = self._activation(read[:, : 2 * self._size] + state @ self._gate_kernel + self._gate_bias)
        update, reset = gates[:, : self._size], gates[:, self._size :]
        told = (
            reset * (state @ self._news_kernel + self._news_bias)
            if self._reset_after
            else (reset * state) @ self._news_kernel
        )
        return update * state + (1 - update) * np.tanh(read[:, 2 * self._size :] + told)
