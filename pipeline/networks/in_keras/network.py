"""A network at work: bodies in, embeddings and titles out, a batch of issues at a time."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt
from keras import KerasTensor

from pipeline.networks.in_keras.beam_search import Search, Steps
from pipeline.networks.in_keras.body_lengths import lengths, trimmed
from pipeline.networks.in_keras.variants import VARIANTS, check
from pipeline.networks.shape import BATCH_SIZE, Decoded, Floats, Ids, Shape

SMALL_BATCHES = (1, 8, 64)
"""Fewer issues than a batch are padded to the next of these: few sizes, so few compilations, and one issue costs one issue."""


class Network:
    """A variant of the network with its weights, which are those of `model`; `VARIANTS` says what that is and does."""

    def __init__(self, variant: str, shape: Shape, model: keras.Model) -> None:
        self.variant = variant
        self.shape = shape
        self.model = model
        self._kind = VARIANTS[variant]
        self._steps = self._kind.steps(model)
        self._first = _First(self._steps)
        self._searches: dict[tuple[int, int, int], Search] = {}

    def encode(
        self, body_ids: npt.ArrayLike, batch_size: int = BATCH_SIZE, *, title_ids: npt.ArrayLike | None = None
    ) -> Floats:
        """The embeddings (n, hidden_size) of bodies (n, body_length), and of titles (n, title_length) where the variant reads them."""
        ids = self.shape.checked(body_ids)
        if self._kind.embed is not None:
            return self._kind.embed(self.model)(
                ids, None if title_ids is None else self.shape.checked_titles(title_ids, len(ids))
            )
        states = [
            np.asarray(self._first.predict_on_batch(batch))[:rows]
            for batch, rows in padded_batches(ids, batch_size)
        ]
        return np.concatenate(states) if states else self.shape.no_titles().states

    def decode(
        self, body_ids: npt.ArrayLike, start: int, end: int, batch_size: int = BATCH_SIZE, beam_width: int = 0
    ) -> Decoded:
        """Titles by beam search, of width 1 by taking the likeliest next token again and again; 0 is the variant's own width.

        `start` and `end` are the ids of _start_ and _end_. Never writes 0 (padding), 1 (unknown) or `start`: their probabilities
        are passed over, not shared out among the other words, so a title that needs a word the model does not know is told with
        less confidence.
        """
        width = beam_width or self._kind.beam_width
        if (start, end, width) not in self._searches:
            once = width > 1 or not self._kind.repeats
            self._searches[start, end, width] = Search(self._steps, self.shape, start, end, width, once)
        search = self._searches[start, end, width]
        ids = self.shape.checked(body_ids)
        # issues of like length together, where that saves steps; as they came, else
        order = np.argsort(lengths(ids), kind="stable") if self._kind.trims else np.arange(len(ids))
        parts = []
        for batch, rows in padded_batches(ids[order], batch_size):
            found = search.predict_on_batch(trimmed(batch) if self._kind.trims else batch)
            parts.append([np.asarray(part)[:rows] for part in found])
        if not parts:
            return self.shape.no_titles()
        back = np.argsort(order)
        titles, words, means, states = (np.concatenate(part)[back] for part in zip(*parts, strict=True))
        return Decoded(
            titles,
            words,
            means,
            states if self._kind.embed is None else self._kind.embed(self.model)(ids, None),
        )


def build(variant: str, shape: Shape, seed: int) -> Network:
    """A network with fresh weights; the same seed gives the same ones.

    Seeds Python, NumPy and the backend. Raises UsageError for a variant that there is not, and for a shape that it cannot have.
    """
    check(variant)
    keras.utils.set_random_seed(seed)
    return Network(variant, shape, VARIANTS[variant].build(shape))


class _First(keras.Model):
    """Bodies (B, body_length) -> the decoder's first states (B, hidden_size)."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(name="first")
        self._steps = steps

    def call(self, body: KerasTensor) -> KerasTensor:
        return self._steps.begin(body)[1]


def padded_batches(ids: Ids, batch_size: int) -> Iterator[tuple[Ids, int]]:
    """The rows in batches that are padded with rows of zeros to one of few sizes, each with how many of its rows count."""
    for first in range(0, len(ids), batch_size):
        rows = ids[first : first + batch_size]
        size = (
            batch_size
            if first
            else min((size for size in SMALL_BATCHES if len(rows) <= size < batch_size), default=batch_size)
        )
        yield np.pad(rows, ((0, size - len(rows)), (0, 0))), len(rows)
