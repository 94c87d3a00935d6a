"""What makes two runs of a stage the same: a fingerprint of the inputs and parameters, and a digest of the
content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def fingerprint(
    table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]
) -> str:
    """The key of a batch, 32 hex digits: equal for runs with equal inputs and parameters.

    `inputs` are the digests of the batches that the stage reads. A stage whose key already has a batch
    returns that batch and does nothing.
    """
    made_of = json.dumps([table, dict(partition), list(inputs), dict(parameters)], sort_keys=True)
    return hashlib.sha256(made_of.encode()).hexdigest()[:32]


def content_digest(table: str, partition: Mapping[str, str], file_digests: Mapping[str, str]) -> str:
    """The SHA-256 that stands for a batch's content: equal for equal files, whenever they were written.

    `file_digests` maps the name of each file to its SHA-256.
    """
    files = sorted([name, digest] for name, digest in file_digests.items())
    content = json.dumps([table, dict(partition), files], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
