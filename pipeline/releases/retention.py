"""Decides which releases `titler collect` keeps."""

from __future__ import annotations

from pipeline.lake.batches import Lake
from pipeline.releases.records import published_records
from pipeline.settings import Settings


def retained_releases(lake: Lake, settings: Settings, current: str | None) -> list[str]:
    """Returns the ids of the releases to keep: the release `current` first, then the latest others.

    The setting `release.keep` is the maximum number of releases. The latest others are those that became
    current most recently. `current` is None if there is no current release.
    """
    ids = [record["release_id"] for record in published_records(lake, settings)]
    earlier = [release_id for release_id in ids if release_id != current]
    return ([current] if current else []) + earlier[::-1][: settings.release.keep - 1]
