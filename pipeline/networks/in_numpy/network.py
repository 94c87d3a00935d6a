"""A trained network at work without the library that trained it: NumPy and the very file that Keras wrote.

TensorFlow takes seconds to import and to compile, for milliseconds of work on one issue; many issues are quicker with
`pipeline.networks.in_keras`. The same titles come out: `tests/networks/in_numpy/test_same_answers.py` holds it to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pipeline.errors import LakeError
from pipeline.networks.in_numpy.beam_search import Steps, search
from pipeline.networks.in_numpy.copy import Copy
from pipeline.networks.in_numpy.gru import Gru
from pipeline.networks.in_numpy.gru_cells import ARTICLES, CUDNNS
from pipeline.networks.in_numpy.saving import Weights, read
from pipeline.networks.shape import AGAIN, BATCH_SIZE, SHAPE, WEIGHTS, Decoded, Floats, Ids, Shape, read_about


@dataclass(frozen=True)
class Variant:
    """What makes a variant of its shape and weights, and how it decodes; as `pipeline.networks.in_keras.variants` has it."""

    build: Callable[[Shape, Weights], Steps]
    beam_width: int
    repeats: bool


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "gru": Variant(partial(Gru, ARTICLES), beam_width=1, repeats=True),
        "gru_cudnn": Variant(partial(Gru, CUDNNS), beam_width=1, repeats=True),
        "copy": Variant(Copy, beam_width=4, repeats=False),
    }
)


class LightNetwork:
    """A variant of the network with its weights, for inference alone. Raises ValueError for weights that do not fit the shape."""

    def __init__(self, variant: str, shape: Shape, weights: Weights) -> None:
        self.variant = variant
        self.shape = shape
        self._kind = VARIANTS[variant]
        self._network = self._kind.build(shape, weights)

    @classmethod
    def load(cls, directory: Path) -> LightNetwork:
        """The network that `pipeline.networks.in_keras.saving.save` wrote.

        Raises LakeError for a file that is missing or damaged, for a variant that there is not, and for weights that do not fit
        the shape or are not numbers.
        """
        variant, shape = read_about(directory)
        if variant not in VARIANTS:
            raise LakeError(
                f"{directory / SHAPE} is damaged: {variant!r} is no variant of the network.", AGAIN
            )
        try:
            network = cls(variant, shape, weights := read(directory / WEIGHTS))
        except Exception as error:  # zipfile and h5py raise whatever comes: BadZipFile, KeyError, OSError, RuntimeError, ValueError
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise LakeError(
                f"{directory / WEIGHTS} is damaged, or does not fit the shape in {SHAPE}: {reason}", AGAIN
            ) from None
        if not all(np.isfinite(array).all() for arrays in weights.values() for array in arrays):
            raise LakeError(f"{directory / WEIGHTS} holds weights that are not numbers.", AGAIN)
        return network

    def encode(
        self, body_ids: npt.ArrayLike, batch_size: int = BATCH_SIZE, *, title_ids: npt.ArrayLike | None = None
    ) -> Floats:
        """The embeddings (n, hidden_size) of bodies (n, body_length), and of titles (n, title_length) where the variant reads them.

        Raises UsageError for ids that do not fit the shape.
        """
        bodies = self.shape.checked(body_ids)
        titles = None if title_ids is None else self.shape.checked_titles(title_ids, len(bodies))
        parts = (slice(first, first + batch_size) for first in range(0, len(bodies), batch_size))
        states = [
            self._network.embed(bodies[part], None if titles is None else titles[part]) for part in parts
        ]
        return np.concatenate(states) if states else self.shape.no_titles().states

    def decode(
        self, body_ids: npt.ArrayLike, start: int, end: int, batch_size: int = BATCH_SIZE, beam_width: int = 0
    ) -> Decoded:
        """Titles as `pipeline.networks.in_keras.Network.decode` finds them."""
        width = beam_width or self._kind.beam_width
        once = width > 1 or not self._kind.repeats
        parts = [
            search(self._network, batch, self.shape, start, end, width, once)
            for batch in _batches(self.shape.checked(body_ids), batch_size)
        ]
        if not parts:
            return self.shape.no_titles()
        titles, words, means, states = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Decoded(titles, words, means, states)


def _batches(ids: Ids, size: int) -> Iterator[Ids]:
    return (ids[first : first + size] for first in range(0, len(ids), size))
