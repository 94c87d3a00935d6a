"""Computes the embeddings of issues in the variants `copy` and `pretrained`, from the counts of the units.

A unit is a subword.

    ids (L,) -> count each distinct unit -> sum of weight x row of a table (V, size) -> scale to length 1

L is the length of a text, and V is the size of the vocabulary. A unit that occurs c times in a text has the
weight 1 + ln c (Salton and Buckley 1988). The module `pipeline.networks.in_keras.contrastive_training` trains
the table. Networks in Keras and in NumPy read it. This module imports neither Keras nor a backend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

FIRST_UNIT = 4
"""The smallest id of a unit. Smaller ids are padding, unknown, _start_ and _end_."""
TEXTS_PER_CHUNK = 256
"""Number of texts whose rows of the table are in memory at the same time."""


@dataclass(frozen=True)
class Bag:
    """The bags of units of n texts: for each text, its distinct units (subwords) and their weights.

    The arrays `texts`, `units` and `weights` have m elements: one for each distinct unit of each text. The
    elements of the first text come first.
    """

    texts: Ids
    """index of the text that contains the unit, ascending, (m,)"""
    units: Ids
    """id of the unit, which is also its row in the table, (m,)"""
    weights: Floats
    """weight of the unit in the text, (m,)"""


def bag(ids: Ids, vocabulary: int) -> Bag:
    """Returns the bags of units (subwords) of n texts: the units of each text, and the weight of each unit.

    `ids` (n, L) are the texts, as ids of units. `vocabulary` is the number of ids in the vocabulary.
    """
    offsets = np.arange(len(ids), dtype=np.int64)[:, None] * vocabulary
    keys, counts = np.unique((offsets + ids)[ids >= FIRST_UNIT], return_counts=True)
    weights = 1 + np.log(counts.astype(np.float32))
    return Bag((keys // vocabulary).astype(np.int32), (keys % vocabulary).astype(np.int32), weights)


def unit(vectors: Floats) -> Floats:
    """Scales each row of `vectors` to length 1. A row of zeros stays zeros."""
    lengths: Floats = np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True))
    return np.divide(vectors, np.maximum(lengths, np.float32(1e-30)))


def vectors_of(table: Floats, ids: Ids) -> Floats:
    """Returns the vectors (n, size) of n texts.

    The vector of a text is the weighted sum of the vectors of its units (subwords), scaled to length 1.
    `table` (V, size) has one vector per unit. `ids` (n, L) are the texts. A text without units has a vector
    of zeros.
    """
    vectors = np.zeros((len(ids), table.shape[1]), np.float32)
    for first in range(0, len(ids), TEXTS_PER_CHUNK):
        chunk = bag(ids[first : first + TEXTS_PER_CHUNK], len(table))
        texts, starts = np.unique(chunk.texts, return_index=True)
        if len(texts):
            vectors[first + texts] = np.add.reduceat(
                table[chunk.units] * chunk.weights[:, None], starts, axis=0
            )
    return unit(vectors)


def embedding(table: Floats, body_ids: Ids, title_ids: Ids | None) -> Floats:
    """Returns the embeddings (n, size) of n issues.

    An embedding is the vector of the body plus the vector of the title, scaled to length 1. Bodies are ids
    (n, L). Titles are ids (n, M) of the same vocabulary, or None to embed bodies alone. If one of the two
    texts is empty, the embedding is the vector of the other text. `table` (V, size) has one vector per unit
    (subword).
    """
    vectors = vectors_of(table, body_ids)
    return vectors if title_ids is None else unit(vectors + vectors_of(table, title_ids))


def inverse_document_frequency(batches: Iterator[tuple[Ids, Ids]], vocabulary: int) -> Floats:
    """Returns the inverse document frequency of each unit (subword), shape (vocabulary,).

    It is 1 + ln((1 + N) / (1 + df)). N is the number of issues, and df is the number of issues that have the
    unit in their body or title. `batches` yields the bodies and titles of the issues.
    """
    issues, document_frequency = 0, np.zeros(vocabulary, np.int64)
    for bodies, titles in batches:
        issues += len(bodies)
        units = bag(np.concatenate([bodies, titles], axis=1), vocabulary).units
        document_frequency += np.bincount(units, minlength=vocabulary)
    idf: Floats = (1 + np.log((1 + issues) / (1 + document_frequency))).astype(np.float32)
    return idf
