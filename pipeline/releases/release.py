"""A release: its record, which one is current, which are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from pipeline import warehouse
from pipeline.contracts import RELEASE_MEMBERS, RELEASES
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake, Manifest
from pipeline.lake.pinned import Pinned
from pipeline.settings import Settings
from pipeline.warehouse import Batch

CURRENT = "releases/current.json"
RECORD = "release"
PUBLISHED_TABLES = ("source_health_v1", "title_predictions_v1", "similar_issues_v1")
EMBEDDINGS_TABLE = "embeddings_v1"  # published where warehouse.embeddings is set


def names(lake: Lake) -> list[str]:
    """Releases that were opened, oldest name first."""
    return [name for name in lake.names("releases") if not name.endswith(".json")]


def record(lake: Lake, name: str) -> dict[str, Any] | None:
    """The record of a release that was published at some time; None otherwise."""
    value = Pinned(lake, "releases", name).noted(RECORD)
    return value if value is None else dict(value)


def published(lake: Lake, settings: Settings) -> list[dict[str, Any]]:
    """Records of the releases that were published, in the order in which they last became current.

    Those that the warehouse shows are among them whether the lake lists them or not: a bucket's listing may lack the newest.
    """
    shown = [str(row["release_id"]) for row in warehouse.connect(settings, "status").records(RELEASES)]
    records = [
        found
        for found in (record(lake, name) for name in sorted({*names(lake), *shown}))
        if found is not None
    ]
    return sorted(records, key=lambda found: (found["published_at"], found["release_id"]))


def pointed(lake: Lake) -> str | None:
    """The release that the lake's pointer names: what readers of the lake see. The warehouse's row decides; the pointer follows it."""
    pointer = lake.get_json(CURRENT)
    return None if pointer is None else str(pointer["release_id"])


def require_current(lake: Lake) -> Pinned:
    """The current release. Raises UsageError where nothing was published."""
    name = pointed(lake)
    if name is None:
        raise UsageError(
            f"No release is published in {lake.root}.",
            "Make one: titler run --from 2015-01-01 --to 2015-01-01",
        )
    return Pinned(lake, "releases", name)


def point(lake: Lake, name: str) -> None:
    """Sets the lake's pointer, where it says something else."""
    if pointed(lake) != name:
        lake.put_json(CURRENT, {"release_id": name})


def kept(lake: Lake, settings: Settings, now: str | None) -> list[str]:
    """The current release, `now`, and the `release.keep` - 1 others that were current last."""
    others = [found["release_id"] for found in published(lake, settings) if found["release_id"] != now]
    return ([now] if now else []) + others[::-1][: settings.release.keep - 1]


def releases_table(records: list[dict[str, Any]], now: str) -> pa.Table:
    """releases_v1: the published releases, `now` the current one."""
    rows = []
    for found in records:
        status = (
            "current"
            if found["release_id"] == now
            else "rolled_back"
            if found.get("rolled_back")
            else "published"
        )
        row = {name: found.get(name) for name in RELEASES.schema.names if name != "status"}
        rows.append({**row, "published_at": datetime.fromisoformat(found["published_at"]), "status": status})
    return pa.Table.from_pylist(rows, schema=RELEASES.schema)


def record_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The record behind a row of releases_v1."""
    values = {
        name: value for name, value in row.items() if name in RELEASES.schema.names and name != "status"
    }
    published_at = row["published_at"].astimezone(UTC).isoformat(timespec="microseconds")
    return {**values, "rolled_back": row["status"] == "rolled_back", "published_at": published_at}


class Members:
    """The batches of releases, each manifest read once however many releases name it."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._manifests: dict[str, Manifest] = {}

    def of(self, release_id: str, table: str) -> list[Manifest]:
        """Those of a table that belong to a release; none where its stage has not run."""
        folders = Pinned(self._lake, "releases", release_id).member_folders(table)
        for folder in folders:
            if folder not in self._manifests:
                self._manifests[folder] = self._lake.manifest(folder)
        return [self._manifests[folder] for folder in folders]

    def table(self, release_ids: Sequence[str], published: Sequence[str]) -> pa.Table:
        """release_members_v1 of these releases: the batches of issues, and of the tables that are `published`."""
        rows = [
            {
                "release_id": release_id,
                "table_name": table,
                "day": date.fromisoformat(manifest.day),
                "batch_id": manifest.batch_id,
                "digest": manifest.digest,
                "rows": manifest.rows,
            }
            for release_id in release_ids
            for table in ("issues_v1", *published)
            for manifest in self.of(release_id, table)
        ]
        return pa.Table.from_pylist(rows, schema=RELEASE_MEMBERS.schema)

    def batches(self, release_ids: Sequence[str], table: str) -> list[Batch]:
        """The batches of a table that any of these releases names, each once."""
        found = {
            manifest.batch_id: manifest
            for release_id in release_ids
            for manifest in self.of(release_id, table)
        }
        return [
            Batch(
                manifest.batch_id,
                date.fromisoformat(manifest.day),
                manifest.rows,
                tuple(self._lake.path(f"{manifest.folder}/{file.name}") for file in manifest.files),
            )
            for manifest in found.values()
        ]
