"""Computes one step of a GRU (Cho et al. 2014), in one of two kinds.

x is the vector of a word, h the state before the word, h' the state after it. The columns of W, U and b are
in the order z, r, g:

z, r = s(x W + h U + b)     update and reset gate
g    = tanh(x W + (r h) U + b)              gru: reset before the product; s(a) = clip(0.2 a + 0.5, 0, 1)
g    = tanh(x W + b0 + r (h U + b1))        cuDNN's: reset after the product; s is the logistic function
h'   = z h + (1 - z) g

A step has two parts. `project` computes what depends on the word alone, for many words at once. `advance`
computes the rest.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pipeline.networks.shape import Floats

HALF = np.float32(0.5)


def hard_sigmoid(x: Floats) -> Floats:
    """Computes clip(0.2 x + 0.5, 0, 1) elementwise: the hard sigmoid of Keras 2."""
    return np.clip(np.float32(0.2) * x + HALF, 0, 1)


def sigmoid(x: Floats) -> Floats:
    """Computes 1 / (1 + exp(-x)) elementwise, without overflow."""
    return HALF * (np.tanh(HALF * x) + np.float32(1))


class GruCell(Protocol):
    """A GRU with its weights. B is the number of issues."""

    def __init__(self, kernel: Floats, recurrent: Floats, bias: Floats) -> None:
        """`kernel` is W, `recurrent` is U, `bias` is b."""

    @staticmethod
    def weight_shapes(word: int, state: int) -> list[tuple[int, ...]]:
        """Returns the shapes of W, U and b for word vectors and states of these sizes."""

    def project(self, word: Floats) -> Floats:
        """Returns the part of a step that depends on word vectors (B, word size) alone: (B, 3 x state
        size)."""

    def advance(self, projected: Floats, state: Floats) -> Floats:
        """Returns the next states (B, state size) from what `project` returned and the current states."""


class ArticleGruCell:
    """The GRU of the variant `gru`, as a `GruCell`."""

    def __init__(self, kernel: Floats, recurrent: Floats, bias: Floats) -> None:
        self.size = len(recurrent)
        self._kernel, self._bias = kernel, bias
        split = 2 * self.size  # between the columns of the gates and those of the candidate g
        self._gate_kernel, self._candidate_kernel = recurrent[:, :split], recurrent[:, split:]

    @staticmethod
    def weight_shapes(word: int, state: int) -> list[tuple[int, ...]]:
        """Implements the method of `GruCell` with the same name."""
        return [(word, 3 * state), (state, 3 * state), (3 * state,)]

    def project(self, word: Floats) -> Floats:
        """Implements the method of `GruCell` with the same name."""
        projected: Floats = word @ self._kernel + self._bias
        return projected

    def advance(self, projected: Floats, state: Floats) -> Floats:
        """Implements the method of `GruCell` with the same name."""
        gates = hard_sigmoid(projected[:, : 2 * self.size] + state @ self._gate_kernel)
        update, reset = gates[:, : self.size], gates[:, self.size :]
        recurrent = (reset * state) @ self._candidate_kernel
        return update * state + (1 - update) * np.tanh(projected[:, 2 * self.size :] + recurrent)


class CudnnGruCell:
    """The GRU that cuDNN computes, as a `GruCell`.

    The logistic function is s(a) = (tanh(a / 2) + 1) / 2. Weights of which only the half is needed are stored
    divided by 2, which causes no rounding. So a step is one product and few passes over the result:

    tz, tr = tanh((x W + h U + b) / 2)
    c      = (h U + b1) / 2
    g      = tanh(x W + b0 + tr c + c)
    h'     = (h + g + tz (h - g)) / 2
    """

    def __init__(self, kernel: Floats, recurrent: Floats, bias: Floats) -> None:
        self.size = len(recurrent)
        gates = 2 * self.size
        scale = np.repeat(np.array([0.5, 1], np.float32), [gates, self.size])
        self._kernel: Floats = kernel * scale
        self._recurrent: Floats = recurrent * HALF
        # The bias of the recurrent product belongs to the product only in the candidate g.
        self._bias: Floats = np.concatenate([bias[0, :gates] + bias[1, :gates], bias[0, gates:]]) * scale
        self._candidate_bias: Floats = bias[1, gates:] * HALF

    @staticmethod
    def weight_shapes(word: int, state: int) -> list[tuple[int, ...]]:
        """Implements the method of `GruCell` with the same name."""
        return [(word, 3 * state), (state, 3 * state), (2, 3 * state)]

    def project(self, word: Floats) -> Floats:
        """Implements the method of `GruCell` with the same name."""
        projected: Floats = word @ self._kernel
        projected += self._bias
        return projected

    def advance(self, projected: Floats, state: Floats) -> Floats:
        """Implements the method of `GruCell` with the same name."""
        size = self.size
        product = state @ self._recurrent
        gates, candidate = product[:, : 2 * size], product[:, 2 * size :]
        gates += projected[:, : 2 * size]
        np.tanh(gates, out=gates)
        update, reset = gates[:, :size], gates[:, size:]
        candidate += self._candidate_bias
        reset *= candidate
        candidate += reset
        candidate += projected[:, 2 * size :]
        np.tanh(candidate, out=candidate)
        update *= state - candidate
        next_state: Floats = state + candidate
        next_state += update
        next_state *= HALF
        return next_state
