"""Builds Annoy index files of vectors, and searches them for the nearest neighbours of a vector."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from annoy import AnnoyIndex

from pipeline.errors import LakeError

Vectors = npt.NDArray[np.float32]


def build(vectors: Iterable[Vectors], size: int, path: Path, *, trees: int, seed: int) -> int:
    """Builds an index of all rows of `vectors` and writes it to `path`. Returns the number of items.

    `vectors` yields arrays of shape (n, size). Each row becomes an item. Items are numbered from 0 in the
    order of the rows. The index is built by one thread with a fixed seed, so the same vectors always give the
    same bytes.
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
    """An index file that is open for searches. The file is memory-mapped, so opening it takes little memory.

    Raises LakeError if the file is not an index of vectors with `size` numbers each.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._index = AnnoyIndex(size, "angular")
        try:
            self._index.load(str(path))
        except OSError as error:
            raise LakeError(
                f"{path} is not an Annoy index of vectors with {size} numbers each ({error}).",
                "Build the index again: titler index --release RELEASE",
            ) from None

    def __len__(self) -> int:
        return int(self._index.get_n_items())

    def vector(self, item: int) -> Vectors:
        """Returns the vector of an item, shape (size,)."""
        return np.asarray(self._index.get_item_vector(item), dtype=np.float32)

    def nearest(self, vector: Vectors, neighbours: int, search_k: int = -1) -> list[tuple[int, float]]:
        """Returns the `neighbours` items nearest to `vector`, nearest first, as pairs (item, angular
        distance).

        The angular distance is sqrt(2 (1 - cosine)), from 0 to 2. The search is approximate. A higher
        `search_k` makes the search slower and more exact; -1 stands for Annoy's default.
        """
        items, distances = self._index.get_nns_by_vector(
            vector, neighbours, search_k=search_k, include_distances=True
        )
        return list(zip(items, distances, strict=True))
