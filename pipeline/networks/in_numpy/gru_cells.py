"""Computes one step of a GRU (Cho et al. 2014). There are two kinds of GRU.

x is the vector of a word. h is the state before the word, and h' is the state after it. W is the kernel, U
the recurrent kernel and b the bias. Their columns are in the order z, r, g. The function s depends on the
kind of GRU:

    z, r = s(x W + h U + b)                 update gate and reset gate
    g    = tanh(x W + (r h) U + b)          gru: the reset gate is applied before the product
    g    = tanh(x W + b0 + r (h U + b1))    cuDNN: the reset gate is applied after the product
    h'   = z h + (1 - z) g

The variant `gru` has GRUs of the kind `gru`. Their s(a) is clip(0.2 a + 0.5, 0, 1). The kind cuDNN is the
GRU that cuDNN computes. Its s is the logistic function. This kind has two biases, b0 and b1; b is their
sum.

A step has two parts. `project` computes what depends on the word alone, for many words at once. `advance`
computes the rest of the step.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pipeline.networks.in_numpy.products import product
from pipeline.networks.shape import Floats

HALF = np.float32(0.5)


def hard_sigmoid(x: Floats) -> Floats:
    """Computes clip(0.2 x + 0.5, 0, 1) elementwise. This is the hard sigmoid of Keras 2."""
    return np.clip(np.float32(0.2) * x + HALF, 0, 1)


def sigmoid(x: Floats) -> Floats:
    """Computes 1 / (1 + exp(-x)) elementwise, without overflow."""
    return HALF * (np.tanh(HALF * x) + np.float32(1))


class GruCell(Protocol):
    """The interface of one GRU with its weights. B is the number of issues."""

    def __init__(self, kernel: Floats, recurrent: Floats, bias: Floats) -> None:
        """Word vectors are multiplied by `kernel`, and states by `recurrent`. `bias` is added."""

    @staticmethod
    def weight_shapes(word: int, state: int) -> list[tuple[int, ...]]:
        """Returns the shapes of kernel, recurrent kernel and bias.

        `word` is the size of a word's vector, and `state` is the size of a state.
        """

    def project(self, word: Floats) -> Floats:
        """Returns the part of a step that depends on the words alone, (B, 3 x state size).

        `word` (B, word size) are the vectors of the words.
        """

    def advance(self, projected: Floats, state: Floats) -> Floats:
        """Computes a step. Returns the next states (B, state size).

        `projected` is what `project` returned for the words, and `state` has the current states (B, state
        size).
        """


class ArticleGruCell:
    """The GRU of the variant `gru`. Implements `GruCell`."""

    def __init__(self, kernel: Floats, recurrent: Floats, bias: Floats) -> None:
        self.size = len(recurrent)
        self._kernel, self._bias = kernel, bias
        split = 2 * self.size  # between the columns of the gates and those of the candidate g
        self._gate_kernel, self._candidate_kernel = recurrent[:, :split], recurrent[:, split:]

    @staticmethod
    def weight_shapes(word: int, state: int) -> list[tuple[int, ...]]:
        """Returns the shapes of kernel, recurrent kernel and bias."""
        return [(word, 3 * state), (state, 3 * state), (3 * state,)]

    def project(self, word: Floats) -> Floats:
        """Returns the part of a step that depends on the words alone, (B, 3 x state size)."""
        projected: Floats = word @ self._kernel + self._bias
        return projected

    def advance(self, projected: Floats, state: Floats) -> Floats:
        """Returns the next states (B, state size) from what `project` returned and the current states."""
        gates = hard_sigmoid(projected[:, : 2 * self.size] + state @ self._gate_kernel)
        update, reset = gates[:, : self.size], gates[:, self.size :]
        recurrent = (reset * state) @ self._candidate_kernel
        return update * state + (1 - update) * np.tanh(projected[:, 2 * self.size :] + recurrent)


class CudnnGruCell:
    """The GRU that cuDNN computes. Implements `GruCell`.

    The logistic function is s(a) = (tanh(a / 2) + 1) / 2. So the gates of the module's docstring are
    z = (tz + 1) / 2 and r = (tr + 1) / 2. The formulas below use tz and tr in place of z and r. The other
    letters have the same meaning as in the module's docstring:

        tz, tr = tanh((x W + h U + b) / 2)
        c      = (h U + b1) / 2
        g      = tanh(x W + b0 + tr c + c)
        h'     = (h + g + tz (h - g)) / 2

    A step does not compute the divisions by 2 in the first two formulas. Instead, the weights are divided by
    2 once, when the object is created. This causes no rounding. A step is then one product and a few passes
    over its result.
    """

    def __init__(
        self,
        kernel: Floats,
        recurrent: Floats,
        bias: Floats,
        word_limit: float | None = None,
        state_limit: float | None = None,
    ) -> None:
        """If `word_limit` is given, the products with words are computed with 8 bits per number.

        If `state_limit` is given, so are the products with states. `word_limit` is the largest absolute
        number that can occur in the vector of a word, and `state_limit` is the largest in a state.
        """
        self.size = len(recurrent)
        gates = 2 * self.size
        scale = np.repeat(np.array([0.5, 1], np.float32), [gates, self.size])
        self._of_words = product(kernel * scale, word_limit)
        self._of_states = product(recurrent * HALF, state_limit)
        # The bias of the recurrent product belongs to the product only in the candidate g.
        self._bias: Floats = np.concatenate([bias[0, :gates] + bias[1, :gates], bias[0, gates:]]) * scale
        self._candidate_bias: Floats = bias[1, gates:] * HALF

    @staticmethod
    def weight_shapes(word: int, state: int) -> list[tuple[int, ...]]:
        """Returns the shapes of kernel, recurrent kernel and bias."""
        return [(word, 3 * state), (state, 3 * state), (2, 3 * state)]

    def project(self, word: Floats) -> Floats:
        """Returns the part of a step that depends on the words alone, (B, 3 x state size)."""
        projected = self._of_words(word)
        projected += self._bias
        return projected

    def advance(self, projected: Floats, state: Floats) -> Floats:
        """Returns the next states (B, state size) from what `project` returned and the current states."""
        size = self.size
        products = self._of_states(state)
        gates, candidate = products[:, : 2 * size], products[:, 2 * size :]
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
