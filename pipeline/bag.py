"""A text as a bag of what it holds, and the vector of a bag: the embedding of the variant `copy`.

    ids (L,) -> units and neighbouring pairs of units, each once, with how often -> sum of weight x row of a table -> unit length

A pair has no row of its own: it is hashed into one of BUCKETS (Bojanowski et al. 2017, "Enriching Word Vectors with Subword
Information", 3.2). A feature that occurs c times weighs 1 + ln c (Salton and Buckley 1988). Knows no library of networks: what trains
the table (`pipeline.models.contrast`) and what only reads it share this page.
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
BUCKETS = 50_000
PRIME = 7919
ROWS_TOGETHER = 256
"""texts whose rows of the table are in memory at once"""


@dataclass(frozen=True)
class Bag:
    """The features of n texts, all in one row, text after text."""

    texts: Ids
    """(m,): the text's number, ascending"""
    features: Ids
    """(m,): rows of the table"""
    weights: Floats
    """(m,)"""


def features_of(vocabulary: int) -> int:
    """How many rows the table has: one a unit, then the buckets."""
    return vocabulary + BUCKETS


def bag(ids: Ids, vocabulary: int) -> Bag:
    """The features of texts (n, L), ids under `vocabulary`."""
    real = ids >= FIRST_UNIT
    paired = real[:, :-1] & real[:, 1:]
    pairs = vocabulary + (ids[:, :-1].astype(np.int64) * PRIME + ids[:, 1:]) % BUCKETS
    size = features_of(vocabulary)
    first = np.arange(len(ids), dtype=np.int64)[:, None] * size
    keys, counts = np.unique(np.concatenate([(first + ids)[real], (first + pairs)[paired]]), return_counts=True)
    weights = 1 + np.log(counts.astype(np.float32))
    return Bag((keys // size).astype(np.int32), (keys % size).astype(np.int32), weights)


def unit(vectors: Floats) -> Floats:
    """The rows scaled to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def vectors_of(table: Floats, ids: Ids, vocabulary: int) -> Floats:
    """The vectors (n, size) of texts (n, L), by a table (features_of(vocabulary), size); zeros for a text without features."""
    vectors = np.zeros((len(ids), table.shape[1]), np.float32)
    for first in range(0, len(ids), ROWS_TOGETHER):
        found = bag(ids[first : first + ROWS_TOGETHER], vocabulary)
        texts, starts = np.unique(found.texts, return_index=True)
        if len(texts):
            vectors[first + texts] = np.add.reduceat(table[found.features] * found.weights[:, None], starts, axis=0)
    return unit(vectors)


def embedding(table: Floats, body_ids: Ids, title_ids: Ids | None) -> Floats:
    """The issues' embeddings (n, size): unit(body's vector + title's vector); of one that is empty the other counts alone.

    Bodies (n, L), titles (n, M) in the same ids, or None where there are no titles.
    """
    vocabulary = len(table) - BUCKETS
    vectors = vectors_of(table, body_ids, vocabulary)
    return vectors if title_ids is None else unit(vectors + vectors_of(table, title_ids, vocabulary))


def rarity(batches: Iterator[tuple[Ids, Ids]], vocabulary: int) -> Floats:
    """idf (features,) = 1 + ln((1 + N) / (1 + df)): N issues, df of them with the feature in their body or their title."""
    issues, found = 0, np.zeros(features_of(vocabulary), np.int64)
    for bodies, titles in batches:
        issues += len(bodies)
        bags = [bag(ids, vocabulary) for ids in (bodies, titles)]
        keys = np.concatenate([one.texts.astype(np.int64) * len(found) + one.features for one in bags])
        found += np.bincount(np.unique(keys) % len(found), minlength=len(found))
    rare: Floats = (1 + np.log((1 + issues) / (1 + found))).astype(np.float32)
    return rare
