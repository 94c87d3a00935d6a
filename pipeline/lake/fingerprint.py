"""Computes the two hashes of a batch. The key identifies the inputs and parameters that the batch is made
from. The digest identifies the content of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any


def fingerprint(
    table: str, partition: Mapping[str, str], inputs: Iterable[str], parameters: Mapping[str, Any]
) -> str:
    """Returns the key of a batch: 32 hexadecimal digits, computed from table, partition, inputs and
    parameters.

    `inputs` are the digests of the batches from which the batch is made. Their order matters. If a batch with
    the same key exists already, a stage reuses that batch instead of making a new one.
    """
    made_of = json.dumps([table, dict(partition), list(inputs), dict(parameters)], sort_keys=True)
    return hashlib.sha256(made_of.encode()).hexdigest()[:32]


def content_digest(table: str, partition: Mapping[str, str], file_digests: Mapping[str, str]) -> str:
    """Returns the digest of a batch's content: 64 hexadecimal digits. If two batches of the same partition
    have the same files with equal rows, their digests are equal.

    `file_digests` maps the name of each file to the SHA-256 of its content (`File.content_sha256`).
    """
    files = sorted([name, digest] for name, digest in file_digests.items())
    content = json.dumps([table, dict(partition), files], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
