"""Splits issues into the subsets train, validation and test, by repository.

All issues of a repository belong to the same subset.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Subset = Literal["train", "validation", "test"]


def subset_of(repo: str) -> Subset:
    """Returns the subset (train, validation or test) of a repository: all its issues belong to this subset.

    `repo` is the repository's `owner/name`. 80% of the repositories belong to train, 10% to validation and
    10% to test. The subset is computed from the first 8 bytes of the SHA-256 of `repo`. So it is the same on
    every machine and never changes.
    """
    fraction = int.from_bytes(hashlib.sha256(repo.encode()).digest()[:8], "big") / 2**64
    if fraction < 0.8:
        return "train"
    return "validation" if fraction < 0.9 else "test"
