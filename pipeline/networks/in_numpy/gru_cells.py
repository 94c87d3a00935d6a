"""Computes one step of a GRU (Cho et al. 2014), in one of two kinds.

x is the vector of a word, h the state before the word, h' the state after it. The columns of W, U and b are
in the order z, r, g:

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
    """Computes clip(0.2 x + 0.5, 0, 1) elementwise: the hard sigmoid of Keras 2."""
    return np.clip(np.float32(0.2) * x + np.float32(0.5), 0, 1)


def sigmoid(x: Floats) -> Floats:
    """Computes 1 / (1 + exp(-x)) elementwise, without overflow."""
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))


@dataclass(frozen=True)
class Gates:
    """The kind of a GRU: how its gates are computed."""

    activation: Callable[[Floats], Floats]
    """the function of the gates: hard or logistic sigmoid"""
    reset_after: bool
    """whether the reset gate is applied after the matrix product"""

    def weight_shapes(self, word: int, state: int) -> list[tuple[int, ...]]:
        """Returns the shapes of W, U and b for word vectors and states of these sizes."""
        return [(word, 3 * state), (state, 3 * state), (2, 3 * state) if self.reset_after else (3 * state,)]


ARTICLE_GATES = Gates(hard_sigmoid, reset_after=False)
CUDNN_GATES = Gates(sigmoid, reset_after=True)


class GruCell:
    """A GRU with its weights. Its method `step` computes the states after one more word."""

    def __init__(self, gates: Gates, kernel: Floats, recurrent: Floats, bias: Floats) -> None:
        """In the formulas of the module, `kernel` is W, `recurrent` is U and `bias` is b."""
        self._size = len(recurrent)
        self._activation, self._reset_after = gates.activation, gates.reset_after
        self._kernel = kernel
        self._bias: Floats = bias[0] if gates.reset_after else bias
        split = 2 * self._size  # between the columns of the gates and those of the candidate g
        self._gate_kernel, self._candidate_kernel = recurrent[:, :split], recurrent[:, split:]
        recurrent_bias: Floats = bias[1] if gates.reset_after else np.zeros_like(bias)
        self._gate_bias, self._candidate_bias = recurrent_bias[:split], recurrent_bias[split:]

    def step(self, word: Floats, state: Floats) -> Floats:
        """Returns the next states (B, state size) from word vectors (B, word size) and the current states."""
        x = word @ self._kernel + self._bias
        gates = self._activation(x[:, : 2 * self._size] + state @ self._gate_kernel + self._gate_bias)
        update, reset = gates[:, : self._size], gates[:, self._size :]
        recurrent = (
            reset * (state @ self._candidate_kernel + self._candidate_bias)
            if self._reset_after
            else (reset * state) @ self._candidate_kernel
        )
        return update * state + (1 - update) * np.tanh(x[:, 2 * self._size :] + recurrent)
