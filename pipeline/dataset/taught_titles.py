"""Titles of a teacher for the bodies that a network reads, mixed with the authors' titles in training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Data = Callable[[int], Iterator[tuple[Ids, Ids]]]
"""A function from the number of an epoch to its batches of bodies (B, body length) and titles (B, title
length)."""
Keys = npt.NDArray[np.uint64]


def body_keys(bodies: Ids) -> Keys:
    """(n,): a hash of each row of `bodies` (n, body length). Bodies that read the same have the same key."""
    rows = np.ascontiguousarray(bodies, dtype=np.int32)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, dtype=np.uint64)


@dataclass(frozen=True)
class TaughtTitles:
    """The ids of a teacher's titles (n, title length), by the key of the body; the keys are sorted."""

    keys: Keys
    titles: Ids

    @classmethod
    def of(cls, parts: Sequence[tuple[Keys, Ids]]) -> TaughtTitles:
        """Joins parts of keys and titles. If several titles have the same key, the first counts."""
        keys, first = np.unique(np.concatenate([keys for keys, _ in parts]), return_index=True)
        return cls(keys, np.concatenate([titles for _, titles in parts])[first])

    def mixed(self, batches: Data, weight: float, seed: int) -> Data:
        """The same batches, in which each title is the teacher's with the probability `weight`.

        The expected gradient is that of the weighted sum of two losses, `weight` times the teacher's titles
        plus 1 - `weight` times the authors', and an epoch takes no longer. Another epoch draws other titles;
        the same seed and epoch give the same. A body without a teacher's title keeps the author's.
        """

        def epoch_batches(epoch: int) -> Iterator[tuple[Ids, Ids]]:
            random = np.random.default_rng([seed, epoch])
            for bodies, titles in batches(epoch):
                yield bodies, self._replaced(bodies, titles, random.random(len(bodies)) < weight)

        return epoch_batches

    def _replaced(self, bodies: Ids, titles: Ids, drawn: npt.NDArray[np.bool_]) -> Ids:
        if not len(self.keys):
            return titles
        keys = body_keys(bodies)
        rows = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        replace = drawn & (self.keys[rows] == keys)
        return np.where(replace[:, None], self.titles[rows], titles)
