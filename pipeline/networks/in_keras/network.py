"""A network in use: embeds bodies and writes titles, a batch of issues at a time."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt
from keras import KerasTensor, ops

from pipeline.networks.bag_of_units import embedding
from pipeline.networks.in_keras.beam_search import BeamSearch, Decoder
from pipeline.networks.in_keras.implementations import IMPLEMENTATIONS
from pipeline.networks.in_keras.length_bucketing import lengths, trimmed
from pipeline.networks.shape import BATCH_SIZE, Decoded, Floats, Ids, Shape
from pipeline.networks.variants import variant_of

SMALL_BATCHES = (1, 8, 64)
"""Fewer issues than a batch are padded to the next of these sizes: few compilations, and one issue is not
computed as a full batch."""


class Network:
    """A variant of the network with its weights, which are those of `model`."""

    def __init__(self, variant: str, shape: Shape, model: keras.Model) -> None:
        self.variant = variant
        self.shape = shape
        self.model = model
        self._facts = variant_of(variant)
        self._decoder = IMPLEMENTATIONS[variant].decoder(model)
        self._initial_state = _InitialState(self._decoder)
        self._searches: dict[tuple[int, int, int], BeamSearch] = {}

    def encode(
        self, body_ids: npt.ArrayLike, batch_size: int = BATCH_SIZE, *, title_ids: npt.ArrayLike | None = None
    ) -> Floats:
        """The embeddings (n, hidden_size) of bodies (n, body_length), and of titles (n, title_length) if the
        variant reads them.

        Raises UsageError for ids that do not fit the shape.
        """
        bodies = self.shape.checked_bodies(body_ids)
        if self._facts.embedding_reads_titles:
            titles = None if title_ids is None else self.shape.checked_titles(title_ids, len(bodies))
            return self._embed_bags(bodies, titles)
        states = [
            np.asarray(self._initial_state.predict_on_batch(batch))[:rows]
            for batch, rows in padded_batches(bodies, batch_size)
        ]
        return np.concatenate(states) if states else self.shape.decoded_nothing().states

    def decode(
        self, body_ids: npt.ArrayLike, start: int, end: int, batch_size: int = BATCH_SIZE, beam_width: int = 0
    ) -> Decoded:
        """Titles by beam search. A beam width of 1 is greedy decoding; 0 is the variant's default width.

        `start` and `end` are the ids of _start_ and _end_. Never writes 0 (padding), 1 (unknown) or `start`.
        Their probabilities are left out, not distributed over the other words, so a title that would need an
        unknown word has a lower probability. Raises UsageError for ids that do not fit the shape.
        """
        search = self._search(start, end, beam_width or self._facts.beam_width)
        ids = self.shape.checked_bodies(body_ids)
        trims = self._facts.trims_padding
        # batches of similar length save steps, but only if padding is cut off
        order = np.argsort(lengths(ids), kind="stable") if trims else np.arange(len(ids))
        results = []
        for batch, rows in padded_batches(ids[order], batch_size):
            arrays = search.predict_on_batch(trimmed(batch) if trims else batch)
            results.append([np.asarray(array)[:rows] for array in arrays])
        if not results:
            return self.shape.decoded_nothing()
        original_order = np.argsort(order)
        titles, title_lengths, scores, states = (
            np.concatenate(arrays)[original_order] for arrays in zip(*results, strict=True)
        )
        if self._facts.embedding_reads_titles:
            states = self._embed_bags(ids, None)
        return Decoded(titles, title_lengths, scores, states)

    def _search(self, start: int, end: int, width: int) -> BeamSearch:
        if (start, end, width) not in self._searches:
            block_repeats = width > 1 or not self._facts.greedy_may_repeat
            self._searches[start, end, width] = BeamSearch(
                self._decoder, self.shape, start, end, width, block_repeats
            )
        return self._searches[start, end, width]

    def _embed_bags(self, bodies: Ids, titles: Ids | None) -> Floats:
        """Embeddings as bags of units.

        The model of a variant whose embedding reads titles has the layer `table`.
        """
        return embedding(np.asarray(ops.convert_to_numpy(self.model.table.embeddings)), bodies, titles)


def build(variant: str, shape: Shape, seed: int) -> Network:
    """A network with fresh weights; the same seed gives the same weights.

    Seeds Python, NumPy and the backend. Raises UsageError if there is no such variant, or if it does not
    support the shape.
    """
    variant_of(variant)
    keras.utils.set_random_seed(seed)
    return Network(variant, shape, IMPLEMENTATIONS[variant].build(shape))


class _InitialState(keras.Model):
    """Bodies (B, body_length) -> the decoder's initial states (B, hidden_size)."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__(name="first")
        self._decoder = decoder

    def call(self, body: KerasTensor) -> KerasTensor:
        return self._decoder.begin(body)[1]


def padded_batches(ids: Ids, batch_size: int) -> Iterator[tuple[Ids, int]]:
    """The rows in batches, padded with rows of zeros to one of a few sizes; each with its number of real
    rows."""
    for first in range(0, len(ids), batch_size):
        rows = ids[first : first + batch_size]
        size = (
            batch_size
            if first
            else min((size for size in SMALL_BATCHES if len(rows) <= size < batch_size), default=batch_size)
        )
        yield np.pad(rows, ((0, size - len(rows)), (0, 0))), len(rows)
