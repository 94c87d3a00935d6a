"""Decides which releases `titler collect` keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def retained_releases(records: Sequence[Mapping[str, Any]], current: str | None, keep: int) -> list[str]:
    """Returns the ids of the releases to keep, at most `keep`.

    The first id is `current`, the id of the current release, unless it is None. The next ids belong to the
    releases that became current most recently. `records` are the records of all published releases, in the
    order in which the releases last became current.
    """
    ids = [str(record["release_id"]) for record in records]
    earlier = [release_id for release_id in ids if release_id != current]
    return ([current] if current else []) + earlier[::-1][: keep - 1]
