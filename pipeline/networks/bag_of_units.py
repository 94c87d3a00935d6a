"""A text as a bag of its units, and the vector of a bag: the embedding of the variant `copy`.

    ids (L,) -> units, each once, with how often -> sum of weight x row of a table (V, size) -> unit length

A unit that occurs c times weighs 1 + ln c (Salton and Buckley 1988). Knows no library of networks: what trains the table
(`pipeline.networks.in_keras.contrastive_training`) and what only reads it share this page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

FIRST_UNIT = 4
"""Ids under it are no text: padding, unknown, _start_ and _end_."""
ROWS_TOGETHER = 256
"""texts whose rows of the table are in memory at once"""


@dataclass(frozen=True)
class Bag:
    """The units of n texts, all in one row, text after text."""

    texts: Ids
    """(m,): the text's number, ascending"""
    units: Ids
    """(m,): rows of the table"""
    weights: Floats
    """(m,)"""


def bag(ids: Ids, vocabulary: int) -> Bag:
    """The units of texts (n, L), ids under `vocabulary`."""
    first = np.arange(len(ids), dtype=np.int64)[:, None] * vocabulary
    keys, counts = np.unique((first + ids)[ids >= FIRST_UNIT], return_counts=True)
    weights = 1 + np.log(counts.astype(np.float32))
    return Bag((keys // vocabulary).astype(np.int32), (keys % vocabulary).astype(np.int32), weights)


def unit(vectors: Floats) -> Floats:
    """The rows scaled to length 1; rows of zeros stay."""
    lengths: Floats = np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True))
    return np.divide(vectors, np.maximum(lengths, np.float32(1e-30)))


def vectors_of(table: Floats, ids: Ids) -> Floats:
    """The vectors (n, size) of texts (n, L), by a table (V, size); zeros for a text without units."""
    vectors = np.zeros((len(ids), table.shape[1]), np.float32)
    for first in range(0, len(ids), ROWS_TOGETHER):
        found = bag(ids[first : first + ROWS_TOGETHER], len(table))
        texts, starts = np.unique(found.texts, return_index=True)
        if len(texts):
            vectors[first + texts] = np.add.reduceat(
                table[found.units] * found.weights[:, None], starts, axis=0
            )
    return unit(vectors)


def embedding(table: Floats, body_ids: Ids, title_ids: Ids | None) -> Floats:
    """The issues' embeddings (n, size): unit(body's vector + title's vector); of one that is empty the other counts alone.

    Bodies (n, L), titles (n, M) in the same ids, or None where there are no titles.
    """
    vectors = vectors_of(table, body_ids)
    return vectors if title_ids is None else unit(vectors + vectors_of(table, title_ids))


def rarity(batches: Iterator[tuple[Ids, Ids]], vocabulary: int) -> Floats:
    """idf (vocabulary,) = 1 + ln((1 + N) / (1 + df)): N issues, df of them with the unit in their body or their title."""
    issues, found = 0, np.zeros(vocabulary, np.int64)
    for bodies, titles in batches:
        issues += len(bodies)
        found += np.bincount(
            bag(np.concatenate([bodies, titles], axis=1), vocabulary).units, minlength=vocabulary
        )
    rare: Floats = (1 + np.log((1 + issues) / (1 + found))).astype(np.float32)
    return rare
