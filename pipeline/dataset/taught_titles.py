"""Stores titles that a teacher wrote for bodies of issues. A teacher is another model, or a file of titles.

In training, some of the authors' titles are replaced by the teacher's titles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Data = Callable[[int], Iterator[tuple[Ids, Ids]]]
"""A function that takes the number of an epoch and yields its training batches: the ids of bodies (B, body
length) and of titles (B, title length)."""
Keys = npt.NDArray[np.uint64]


def body_keys(bodies: Ids) -> Keys:
    """Returns the key of each body, shape (n,): a hash of the body's ids.

    `bodies` (n, body length) has one row of ids per body. Bodies with the same ids have the same key.
    """
    rows = np.ascontiguousarray(bodies, dtype=np.int32)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, dtype=np.uint64)


@dataclass(frozen=True)
class TaughtTitles:
    """The titles that a teacher wrote for n bodies.

    `keys` (n,) has the keys of the bodies (hashes of their ids) in ascending order. `titles` (n, title
    length) has the ids of the teacher's titles, in the same order.
    """

    keys: Keys
    titles: Ids

    @classmethod
    def of(cls, parts: Sequence[tuple[Keys, Ids]]) -> TaughtTitles:
        """Combines several `parts` into one TaughtTitles.

        A part is a pair of arrays: the keys of m bodies (m,), and the ids of the teacher's titles for these
        bodies (m, title length). If a key occurs several times, its first title is used.
        """
        keys, first = np.unique(np.concatenate([keys for keys, _ in parts]), return_index=True)
        return cls(keys, np.concatenate([titles for _, titles in parts])[first])

    def mixed(self, batches: Data, weight: float, seed: int) -> Data:
        """Returns a function that yields the same training batches of an epoch as the function `batches`,
        except that some of the authors' titles are replaced by titles of the teacher.

        Each title is replaced with probability `weight`. A body without a teacher's title keeps the author's
        title. The random choice differs from epoch to epoch, but is always the same for the same seed and
        epoch. On average, the gradient is that of a weighted sum of two losses: `weight` times the loss on
        the teacher's titles, plus 1 - `weight` times the loss on the authors' titles. An epoch takes as much
        time as without a teacher.
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
