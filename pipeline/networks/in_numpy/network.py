"""Runs a trained network without Keras: with NumPy, from the files that Keras wrote.

NumPy is quick for a few issues: TensorFlow takes seconds to import and to compile, but NumPy needs only
milliseconds for one issue. For many issues, it depends on the variant whether NumPy needs less processor time
than Keras (`faster_in_numpy` in `pipeline.networks.variants`). NumPy and Keras predict the same titles. There
is one exception: some titles differ if NumPy multiplies with 8 bits per number
(`pipeline.networks.in_numpy.products`). `tests/networks/in_numpy/test_same_results_as_keras.py` compares the
results of NumPy and Keras.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError, UsageError
from pipeline.networks.in_numpy.beam_search import finished_titles, search
from pipeline.networks.in_numpy.copy import Copy
from pipeline.networks.in_numpy.implementations import IMPLEMENTATIONS
from pipeline.networks.in_numpy.weights_file import Weights, read_weights
from pipeline.networks.shape import (
    BATCH_SIZE,
    PAD,
    REPLACE_OR_RETRAIN,
    SHAPE_FILE,
    WEIGHTS_FILE,
    Decoded,
    Description,
    Floats,
    Ids,
)
from pipeline.networks.variants import variant_of
from pipeline.threads import map_on_cores

MAX_BATCH_SIZE = 128
"""Maximum number of issues decoded together. The arrays of larger batches do not fit into a core's cache."""


class LightNetwork:
    """A trained network for inference in NumPy.

    It has the methods `encode` and `decode` of `pipeline.networks.in_keras.Network`. Raises ValueError if the
    weights do not fit the shape (the sizes of the network).
    """

    def __init__(self, description: Description, weights: Weights) -> None:
        self.variant = description.variant
        self.shape = description.shape
        self._facts = variant_of(self.variant)
        self._decoder = IMPLEMENTATIONS[self.variant](description, weights)

    @classmethod
    def load(cls, directory: Path) -> LightNetwork:
        """Loads the network that `pipeline.networks.in_keras.saving.save` wrote into a folder.

        Raises LakeError if a file is missing or damaged, if Titler has no variant with the stored name, or if
        the weights do not fit the shape or are not finite numbers.
        """
        description = Description.read(directory)
        try:
            variant_of(description.variant)
        except UsageError as error:
            raise LakeError(f"{directory / SHAPE_FILE} is damaged: {error}", REPLACE_OR_RETRAIN) from None
        try:
            network = cls(description, weights := read_weights(directory / WEIGHTS_FILE))
        # zipfile and h5py raise many types: BadZipFile, KeyError, OSError, RuntimeError, ValueError
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise LakeError(
                f"{directory / WEIGHTS_FILE} is damaged, or does not fit the shape in {SHAPE_FILE}: {reason}",
                REPLACE_OR_RETRAIN,
            ) from None
        if not all(np.isfinite(array).all() for arrays in weights.values() for array in arrays):
            raise LakeError(
                f"{directory / WEIGHTS_FILE} has weights that are not finite numbers.", REPLACE_OR_RETRAIN
            )
        return network

    def encode(
        self, body_ids: npt.ArrayLike, batch_size: int = BATCH_SIZE, *, title_ids: npt.ArrayLike | None = None
    ) -> Floats:
        """Returns the embeddings (n, hidden_size) of n issues.

        `body_ids` are (n, body_length). `title_ids` are (n, title_length) or None. A variant whose embedding
        depends on the body alone ignores `title_ids`. `batch_size` issues are computed at a time. Raises
        UsageError for ids that do not fit the network's shape.
        """
        bodies = self.shape.checked_bodies(body_ids)
        titles = None if title_ids is None else self.shape.checked_titles(title_ids, len(bodies))
        batches = (slice(first, first + batch_size) for first in range(0, len(bodies), batch_size))
        states = [
            self._decoder.embed(bodies[rows], None if titles is None else titles[rows]) for rows in batches
        ]
        return np.concatenate(states) if states else self.shape.decoded_nothing().states

    def decode(
        self, body_ids: npt.ArrayLike, start: int, end: int, batch_size: int = BATCH_SIZE, beam_width: int = 0
    ) -> Decoded:
        """Predicts the titles of n bodies by beam search.

        The arguments are those of `pipeline.networks.in_keras.Network.decode`. Keras predicts the same titles
        for the same network, unless NumPy multiplies with 8 bits per number. Batches are decoded in parallel
        on all cores. The bodies of a batch have similar lengths. A batch has at most `batch_size` issues, and
        never more than MAX_BATCH_SIZE.
        """
        width, block_repeats = self._beam(beam_width)
        ids = self.shape.checked_bodies(body_ids)
        # The longest bodies first, so that the last batches are short and the cores finish together.
        order = np.argsort(-(ids != PAD).sum(axis=1), kind="stable")
        size = min(batch_size, MAX_BATCH_SIZE)

        def decoded(first: int) -> tuple[Ids, Ids, Floats, Floats]:
            body = ids[order[first : first + size]]
            return search(self._decoder, body, self.shape, start, end, width, block_repeats)

        results = map_on_cores(decoded, range(0, len(ids), size))
        if not results:
            return self.shape.decoded_nothing()
        original_order = np.argsort(order)
        titles, lengths, scores, states = (
            np.concatenate(arrays)[original_order] for arrays in zip(*results, strict=True)
        )
        return Decoded(titles, lengths, scores, states)

    def candidates(
        self, body_ids: npt.ArrayLike, start: int, end: int, beam_width: int = 0
    ) -> list[tuple[Ids, float]]:
        """Returns the titles that the beam search of one body (1, body_length) finishes, the best one first.

        A title is a pair: its ids, and the mean log probability of its tokens. The first one is the title
        that `decode` predicts.
        """
        body = self.shape.checked_bodies(body_ids)
        return finished_titles(self._decoder, body, self.shape, start, end, *self._beam(beam_width))

    def copied_shares(self, body_ids: npt.ArrayLike, title: Ids, start: int) -> Floats | None:
        """Returns how much of the probability of each unit (subword) of a title comes from copying, or None
        if the variant does not copy. See `Copy.copied_shares`."""
        if not isinstance(self._decoder, Copy):
            return None
        return self._decoder.copied_shares(self.shape.checked_bodies(body_ids), title, start)

    def _beam(self, beam_width: int) -> tuple[int, bool]:
        """Returns the beam width, and whether repeated tokens are blocked. 0 stands for the variant's default
        width."""
        width = beam_width or self._facts.beam_width
        return width, width > 1 or not self._facts.greedy_may_repeat
