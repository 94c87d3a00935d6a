"""The split into training, validation and test, by repository: all issues of a repository are in the same
part."""

from __future__ import annotations

import hashlib
from typing import Literal

Part = Literal["train", "validation", "test"]


def part_of(repo: str) -> Part:
    """The part of a repository, `owner/name`: 80% of repositories train, 10% validate, 10% test.

    Decided by the first 8 bytes of the SHA-256 of `repo`, as a fraction of 2^64: the same on every machine
    and day.
    """
    fraction = int.from_bytes(hashlib.sha256(repo.encode()).digest()[:8], "big") / 2**64
    if fraction < 0.8:
        return "train"
    return "validation" if fraction < 0.9 else "test"
