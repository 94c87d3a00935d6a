"""Splits issues into the parts train, validation and test, by repository.

All issues of a repository belong to the same part.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Part = Literal["train", "validation", "test"]


def part_of(repo: str) -> Part:
    """Returns the part of the split that all issues of the repository `repo` (`owner/name`) belong to.

    80% of the repositories belong to train, 10% to validation and 10% to test. The part is computed from the
    first 8 bytes of the SHA-256 of `repo`. So it is the same on every machine and never changes.
    """
    fraction = int.from_bytes(hashlib.sha256(repo.encode()).digest()[:8], "big") / 2**64
    if fraction < 0.8:
        return "train"
    return "validation" if fraction < 0.9 else "test"
