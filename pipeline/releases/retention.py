"""Decides which releases are kept."""

from __future__ import annotations

from pipeline.lake.batches import Lake
from pipeline.releases.records import published_records
from pipeline.settings import Settings


def retained_releases(lake: Lake, settings: Settings, current: str | None) -> list[str]:
    """Returns the ids of the releases to keep, newest first: the current release, and the `release.keep` - 1
    others that were current last."""
    ids = [record["release_id"] for record in published_records(lake, settings)]
    earlier = [release_id for release_id in ids if release_id != current]
    return ([current] if current else []) + earlier[::-1][: settings.release.keep - 1]
