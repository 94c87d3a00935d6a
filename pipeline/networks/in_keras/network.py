"""A network with its weights. It embeds issues and predicts their titles, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import KerasTensor, ops

from pipeline.networks.bag_of_units import embedding
from pipeline.networks.in_keras.beam_search import BeamSearch, Decoder
from pipeline.networks.in_keras.implementations import IMPLEMENTATIONS
from pipeline.networks.in_keras.length_bucketing import lengths, trimmed
from pipeline.networks.in_keras.teacher_forcing import TeacherForcing
from pipeline.networks.shape import BATCH_SIZE, Decoded, Floats, Ids, Shape
from pipeline.networks.variants import variant_of

SMALL_BATCHES = (1, 8, 64)
"""Batch sizes for fewer issues than a full batch. Such a batch is padded with empty rows to the next size.

With only these sizes, few functions are compiled, and a single issue costs less than a full batch.
"""


class Network:
    """A network in Keras, for training and inference. `model` is the Keras model with the weights."""

    def __init__(self, variant: str, shape: Shape, model: keras.Model) -> None:
        self.variant = variant
        self.shape = shape
        self.model = model
        self.shortlist: Ids | None = None
        """the units (subwords) that decoding considers besides those of the body; None stands for the whole
        vocabulary"""
        self.eight_bits = False
        self._facts = variant_of(variant)
        self._decoder = IMPLEMENTATIONS[variant].decoder(model)
        self._initial_state = _InitialState(self._decoder)
        self._searches: dict[tuple[int, int, int, bytes | None], BeamSearch] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """The facts that identify this network in a checkpoint, besides the network's shape and variant.

        For this class, there are no such facts.
        """
        return {}

    def teacher_forcing(self) -> TeacherForcing:
        """Returns the model, the loss, the metrics and the settings with which the network is trained on
        titles."""
        return IMPLEMENTATIONS[self.variant].teacher_forcing(self.model)

    def encode(
        self, body_ids: npt.ArrayLike, batch_size: int = BATCH_SIZE, *, title_ids: npt.ArrayLike | None = None
    ) -> Floats:
        """Returns the embeddings (n, hidden_size) of n issues.

        `body_ids` are (n, body_length). `title_ids` are (n, title_length) or None. A variant whose embedding
        depends on the body alone ignores `title_ids`. `batch_size` issues are computed at a time. Raises
        UsageError for ids that do not fit the network's shape.
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
        """Predicts the titles of n bodies by beam search. Bodies are ids (n, body_length).

        A beam width of 1 is greedy decoding, and 0 stands for the variant's default beam width. `start` and
        `end` are the ids of _start_ and _end_. Raises UsageError for ids that do not fit the network's shape.

        Titles never contain padding (id 0), the unknown word (id 1) or `start`. The probabilities of these
        ids are dropped, and the others are not rescaled. So where the network prefers the unknown word, all
        other tokens have low probabilities, and this lowers the probability of the title.
        """
        search = self._search(start, end, beam_width or self._facts.beam_width)
        ids = self.shape.checked_bodies(body_ids)
        trims = self._facts.trims_padding
        # batches of bodies with similar lengths need fewer steps, but only if padding is cut off
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
        key = (start, end, width, None if self.shortlist is None else self.shortlist.tobytes())
        if key not in self._searches:
            block_repeats = width > 1 or not self._facts.greedy_may_repeat
            self._searches[key] = BeamSearch(
                self._decoder, self.shape, start, end, width, block_repeats, self.shortlist
            )
        return self._searches[key]

    def _embed_bags(self, bodies: Ids, titles: Ids | None) -> Floats:
        """Returns the embeddings (n, hidden_size) of issues, computed from their bags of units (subwords).

        The vectors of the units are read from the model's layer `table`. Every variant whose embedding
        depends on titles has this layer.
        """
        return embedding(np.asarray(ops.convert_to_numpy(self.model.table.embeddings)), bodies, titles)


def build(variant: str, shape: Shape, seed: int) -> Network:
    """Builds a network with random weights. The same seed gives the same weights.

    Sets the random seeds of Python, NumPy and the backend. Raises UsageError if the variant does not exist or
    does not support the shape.
    """
    variant_of(variant)
    keras.utils.set_random_seed(seed)
    return Network(variant, shape, IMPLEMENTATIONS[variant].build(shape))


class _InitialState(keras.Model):
    """A Keras model that computes the decoder's initial states (B, hidden_size).

    The input has the ids of B bodies, (B, body_length).
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__(name="first")
        self._decoder = decoder

    def call(self, body: KerasTensor) -> KerasTensor:
        return self._decoder.begin(body, None)[1]


def padded_batches(ids: Ids, batch_size: int) -> Iterator[tuple[Ids, int]]:
    """Yields `ids` in batches of `batch_size` rows, and each batch's number of rows before padding.

    If the last batch has fewer rows, rows of zeros are added to it. If it is the only batch, it may get one
    of the smaller sizes in SMALL_BATCHES instead of `batch_size`.
    """
    for first in range(0, len(ids), batch_size):
        rows = ids[first : first + batch_size]
        size = (
            batch_size
            if first
            else min((size for size in SMALL_BATCHES if len(rows) <= size < batch_size), default=batch_size)
        )
        yield np.pad(rows, ((0, size - len(rows)), (0, 0))), len(rows)
