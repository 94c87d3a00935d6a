"""The record of a published release: when, by whom, with which model, its figures; stored in the lake and as
rows of releases_v1."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from pipeline import warehouse
from pipeline.contracts import RELEASES
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.settings import Settings

RECORD = "release"


def read_record(lake: Lake, release_id: str) -> dict[str, Any] | None:
    """The record of a release, or None if it was never published."""
    record = Pinned(lake, "releases", release_id).read_note(RECORD)
    return record if record is None else dict(record)


def write_record(lake: Lake, record: Mapping[str, Any]) -> None:
    """Stores the record of a release in the lake."""
    Pinned(lake, "releases", record["release_id"]).write_note(RECORD, dict(record))


def published_records(lake: Lake, settings: Settings) -> list[dict[str, Any]]:
    """The records of all published releases, in the order in which they last became current.

    Releases that the warehouse shows are included even if the lake does not list them: a bucket's listing may
    lack the newest.
    """
    rows = warehouse.connect(settings, "status").records(RELEASES)
    names = sorted({*pinned_names(lake, "releases"), *(str(row["release_id"]) for row in rows)})
    records = [record for record in (read_record(lake, name) for name in names) if record is not None]
    return sorted(records, key=lambda record: (record["published_at"], record["release_id"]))


def releases_table(records: list[dict[str, Any]], current: str) -> pa.Table:
    """releases_v1 with these records; `current` is the id of the current release."""
    rows = []
    for record in records:
        status = "published"
        if record["release_id"] == current:
            status = "current"
        elif record.get("rolled_back"):
            status = "rolled_back"
        row = {name: record.get(name) for name in RELEASES.schema.names if name != "status"}
        published_at = datetime.fromisoformat(record["published_at"])
        rows.append({**row, "published_at": published_at, "status": status})
    return pa.Table.from_pylist(rows, schema=RELEASES.schema)


def record_from_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The record that a row of releases_v1 was made from."""
    values = {
        name: value for name, value in row.items() if name in RELEASES.schema.names and name != "status"
    }
    published_at = row["published_at"].astimezone(UTC).isoformat(timespec="microseconds")
    return {**values, "rolled_back": row["status"] == "rolled_back", "published_at": published_at}
