"""Annoy: builds an index file of vectors, opens it and asks it for neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from annoy import AnnoyIndex

from pipeline.errors import LakeError

Vectors = npt.NDArray[np.float32]


def build(vectors: Iterable[Vectors], size: int, path: Path, *, trees: int, seed: int) -> int:
    """Writes an index of all rows of `vectors`, arrays of shape (n, size); returns their number. Item i is
    the i-th row.

    With one build thread and a fixed seed, the same vectors give the same bytes.
    """
    index = AnnoyIndex(size, "angular")
    index.set_seed(seed)
    items = 0
    for block in vectors:
        for vector in block:
            index.add_item(items, vector)
            items += 1
    index.build(trees, n_jobs=1)
    index.save(str(path))
    return items


class Index:
    """An index file, memory-mapped. Raises LakeError for a file that is not an index of vectors of this
    size."""

    def __init__(self, path: Path, size: int) -> None:
        self._index = AnnoyIndex(size, "angular")
        try:
            self._index.load(str(path))
        except OSError as error:
            raise LakeError(
                f"{path} is not an index of vectors of {size} numbers ({error}).",
                "Build it again: titler index --release RELEASE",
            ) from None

    def __len__(self) -> int:
        return int(self._index.get_n_items())

    def vector(self, item: int) -> Vectors:
        """The vector of an item, shape (size,)."""
        return np.asarray(self._index.get_item_vector(item), dtype=np.float32)

    def nearest(self, vector: Vectors, neighbours: int, search_k: int = -1) -> list[tuple[int, float]]:
        """(item, angular distance) of the nearest items, nearest first.

        The angular distance is sqrt(2 (1 - cosine)), from 0 to 2.
        """
        items, distances = self._index.get_nns_by_vector(
            vector, neighbours, search_k=search_k, include_distances=True
        )
        return list(zip(items, distances, strict=True))
