"""Decides which releases `titler collect` keeps."""

from __future__ import annotations

from pipeline.lake.batches import Lake
from pipeline.releases.records import published_records
from pipeline.settings import Settings


def retained_releases(lake: Lake, settings: Settings, current: str | None) -> list[str]:
    """Returns the ids of the releases to keep, at most as many as the setting `release.keep` says.

    The first id is `current`, the id of the current release; it is left out if it is None. The other ids are
    those of the releases that became current most recently.
    """
    ids = [record["release_id"] for record in published_records(lake, settings)]
    earlier = [release_id for release_id in ids if release_id != current]
    return ([current] if current else []) + earlier[::-1][: settings.release.keep - 1]
