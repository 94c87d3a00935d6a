"""The record of a published release: when, by whom, with which model, its figures; stored in the lake and as
rows of releases_v1."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from pipeline import warehouse
from pipeline.contracts import RELEASES
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.settings import Settings

RECORD = "release"


def read_record(lake: Lake, release_id: str) -> dict[str, Any] | None:
    """The record of a release, or None if it was never published."""
    record = Pinned(lake, "releases", release_id).notes[RECORD]
    return record if record is None else dict(record)


def published_records(lake: Lake, settings: Settings) -> list[dict[str, Any]]:
    """The records of all published releases, in the order in which they last became current.

    Releases that the warehouse shows are included even if the lake does not list them: a bucket's listing may
    lack the newest.
    """
    rows = warehouse.connect(settings, "status").records(RELEASES)
    names = sorted({*pinned_names(lake, "releases"), *(str(row["release_id"]) for row in rows)})
    records = [record for record in (read_record(lake, name) for name in names) if record is not None]
    return sorted(records, key=lambda record: (record["published_at"], record["release_id"]))


def record_from_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The record that a row of releases_v1 was made from."""
    values = {
        name: value for name, value in row.items() if name in RELEASES.schema.names and name != "status"
    }
    published_at = row["published_at"].astimezone(UTC).isoformat(timespec="microseconds")
    return {**values, "rolled_back": row["status"] == "rolled_back", "published_at": published_at}
