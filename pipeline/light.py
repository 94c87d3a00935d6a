"""A trained network at work without the library that trained it: NumPy and the very file that Keras wrote.

TensorFlow takes seconds to import and to compile, for milliseconds of work on one issue; many issues are quicker with
`pipeline.models`. The same titles come out: `tests/test_light.py` holds it to that.

The GRU's step, with x the word, h the state, and the columns of W, U and b in the order z, r, g (Cho et al. 2014):

    z, r = s(x W + h U + b)     update and reset gate
    g    = tanh(x W + (r h) U + b)              gru: reset before the product; s(a) = clip(0.2 a + 0.5, 0, 1)
    g    = tanh(x W + b0 + r (h U + b1))        gru_cudnn: reset after the product; s is the logistic function
    h'   = z h + (1 - z) g
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError
from pipeline.shape import AGAIN, BATCH_SIZE, PAD, SHAPE, UNKNOWN, WEIGHTS, Decoded, Floats, Ids, Shape, read_about

EPSILON = 1e-3
"""Keras's, in batch normalisation's square root"""
Arrays = Mapping[str, list[Floats]]
"""A layer's weights by its name, in Keras's order."""


def hard_sigmoid(x: Floats) -> Floats:
    """clip(0.2 x + 0.5, 0, 1), elementwise: Keras 2's."""
    return np.clip(np.float32(0.2) * x + np.float32(0.5), 0, 1)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), elementwise, written so that nothing overflows."""
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))


@dataclass(frozen=True)
class Gates:
    """How a variant's GRU works."""

    activation: Callable[[Floats], Floats]
    reset_after: bool


VARIANTS: Mapping[str, Gates] = MappingProxyType({"gru": Gates(hard_sigmoid, False), "gru_cudnn": Gates(sigmoid, True)})
"""The GRU of each variant that `pipeline.models` builds."""


class LightNetwork:
    """A variant of the network with its weights, for inference alone. Raises ValueError for weights that do not fit the shape."""

    def __init__(self, variant: str, shape: Shape, weights: Arrays) -> None:
        self.variant = variant
        self.shape = shape
        for name, sizes in _sizes(VARIANTS[variant], shape).items():
            found = [array.shape for array in weights.get(name, [])]
            if found != sizes:
                raise ValueError(f"the layer {name} has weights of the shapes {found}, where {sizes} are expected")
        (self._body,), (self._title,) = weights["body_embedding"], weights["title_embedding"]
        self._body_norm, self._title_norm, self._state_norm = (_norm(*weights[f"{name}_norm"]) for name in ("body", "title", "decoder"))
        self._encoder, self._decoder = (_Cell(VARIANTS[variant], *weights[name]) for name in ("encoder", "decoder"))
        self._words, self._words_bias = weights["words"]

    @classmethod
    def load(cls, directory: Path) -> LightNetwork:
        """The network that `pipeline.models.store.save` wrote.

        Raises LakeError for a file that is missing or damaged, for a variant that there is not, and for weights that do not fit
        the shape or are not numbers.
        """
        variant, shape = read_about(directory)
        if variant not in VARIANTS:
            raise LakeError(f"{directory / SHAPE} is damaged: {variant!r} is no variant of the network.", AGAIN)
        try:
            network = cls(variant, shape, weights := _read(directory / WEIGHTS))
        except Exception as error:  # zipfile and h5py raise whatever comes: BadZipFile, KeyError, OSError, RuntimeError, ValueError
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise LakeError(f"{directory / WEIGHTS} is damaged, or does not fit the shape in {SHAPE}: {reason}", AGAIN) from None
        if not all(np.isfinite(array).all() for arrays in weights.values() for array in arrays):
            raise LakeError(f"{directory / WEIGHTS} holds weights that are not numbers.", AGAIN)
        return network

    def encode(self, body_ids: npt.ArrayLike, batch_size: int = BATCH_SIZE) -> Floats:
        """The embeddings (n, hidden_size) of bodies (n, body_length). Raises UsageError for ids that do not fit the shape."""
        states = [self._state(batch) for batch in _batches(self.shape.checked(body_ids), batch_size)]
        return np.concatenate(states) if states else self.shape.no_titles().states

    def decode(self, body_ids: npt.ArrayLike, start: int, end: int, batch_size: int = BATCH_SIZE, beam_width: int = 0) -> Decoded:
        """The likeliest next token, again and again, as `pipeline.models.Network.decode` does it."""
        parts = [self._decode(batch, start, end) for batch in _batches(self.shape.checked(body_ids), batch_size)]
        return Decoded(*(np.concatenate(part) for part in zip(*parts, strict=True))) if parts else self.shape.no_titles()

    def _state(self, body: Ids) -> Floats:
        hidden = np.zeros((len(body), self.shape.hidden_size), np.float32)
        for column in body.T:
            hidden = self._encoder.step(self._body_norm(self._body[column]), hidden)
        return hidden

    def _decode(self, body: Ids, start: int, end: int) -> tuple[Ids, Ids, Floats, Floats]:
        """The four arrays of Decoded."""
        state = hidden = self._state(body)
        rows = np.arange(len(body))
        token = np.full(len(body), start)
        writing = np.ones(len(body), bool)
        ids = np.full((len(body), self.shape.steps), PAD, np.int32)
        total = np.zeros(len(body), np.float32)
        tokens, words = np.zeros((2, len(body)), np.int32)
        for step in range(self.shape.steps):
            hidden = self._decoder.step(self._title_norm(self._title[token]), hidden)
            logits = self._state_norm(hidden) @ self._words + self._words_bias
            allowed = logits.copy()
            allowed[:, [PAD, UNKNOWN, start]] = -np.inf
            token = np.where(writing, allowed.argmax(axis=1), PAD)
            highest = logits.max(axis=1)
            chosen = logits[rows, token] - highest - np.log(np.exp(logits - highest[:, None]).sum(axis=1))
            total += np.where(writing, chosen, 0)
            tokens += writing
            writing &= token != end
            words += writing
            ids[:, step] = token
            if not writing.any():
                break
        return ids, words, (total / tokens).astype(np.float32), state


class _Cell:
    """A GRU's step: words (B, embedding_size) and states (B, hidden_size) in, states out."""

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
        told = reset * (state @ self._news_kernel + self._news_bias) if self._reset_after else (reset * state) @ self._news_kernel
        return update * state + (1 - update) * np.tanh(read[:, 2 * self._size :] + told)


def _norm(gamma: Floats, beta: Floats, mean: Floats, variance: Floats) -> Callable[[Floats], Floats]:
    """Batch normalisation at inference: gamma (x - mean) / sqrt(variance + EPSILON) + beta, as one product and one sum."""
    scale = gamma / np.sqrt(variance + np.float32(EPSILON))
    shift = beta - mean * scale
    return lambda x: x * scale + shift


def _batches(ids: Ids, size: int) -> Iterator[Ids]:
    return (ids[first : first + size] for first in range(0, len(ids), size))


def _sizes(gates: Gates, shape: Shape) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of each layer's weights."""
    word, state = shape.embedding_size, shape.hidden_size
    bias = (2, 3 * state) if gates.reset_after else (3 * state,)
    gru: list[tuple[int, ...]] = [(word, 3 * state), (state, 3 * state), bias]
    return {
        "body_embedding": [(shape.body_vocabulary, word)],
        "body_norm": [(word,)] * 4,
        "encoder": gru,
        "title_embedding": [(shape.title_vocabulary, word)],
        "title_norm": [(word,)] * 4,
        "decoder": gru,
        "decoder_norm": [(state,)] * 4,
        "words": [(state, shape.title_vocabulary), (shape.title_vocabulary,)],
    }


def _read(path: Path) -> Arrays:
    """The weights in a file of Keras's: a zip with an HDF5 file, where each layer's `vars` holds its name and its arrays by number.

    A recurrent layer keeps its arrays a level lower, with its cell.
    """
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    weights = {}
    with h5py.File(io.BytesIO(content), "r") as file:
        for layer in file["layers"].values():
            variables = layer["cell/vars"] if "cell" in layer else layer["vars"]
            arrays = [np.asarray(variables[str(number)], np.float32) for number in range(len(variables))]
            weights[str(layer["vars"].attrs["name"])] = arrays
    return weights
