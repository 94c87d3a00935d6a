"""Determines which rows of release_members_v1 a release has, and which batches the warehouse must load for
it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.contracts import EMBEDDINGS, ISSUES, SIMILAR_ISSUES, SOURCE_HEALTH, TITLE_PREDICTIONS
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.releases.records import published_records
from pipeline.settings import Settings
from pipeline.warehouse import Batch

PUBLISHED_TABLES = (SOURCE_HEALTH.name, TITLE_PREDICTIONS.name, SIMILAR_ISSUES.name)


def published_tables(settings: Settings) -> tuple[str, ...]:
    """Returns the names of the tables that are published in the warehouse. The table of embeddings is
    published only if the setting `warehouse.embeddings` is on."""
    return (*PUBLISHED_TABLES, EMBEDDINGS.name) if settings.warehouse.embeddings else PUBLISHED_TABLES


@dataclass(frozen=True)
class ReleaseContent:
    """The content of a release in the warehouse.

    `members` are the release's rows of release_members_v1. There is one row for each batch of issues, and one
    for each batch of a published table. `batches` maps the name of each published table to the batches that
    the warehouse loads into this table.
    """

    members: Sequence[Mapping[str, Any]]
    batches: Mapping[str, Sequence[Batch]]

    @property
    def keys(self) -> set[tuple[str, str, str]]:
        """The table, day and batch id of every member of the release."""
        return member_keys(self.members)


def member_keys(rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """Returns the set of (table, day, batch id) of these rows of release_members_v1."""
    return {(row["table_name"], str(row["day"]), row["batch_id"]) for row in rows}


def release_content(release: Pinned, tables: Sequence[str], *, complete: bool) -> ReleaseContent:
    """Returns the content of a release in the warehouse: its batches of issues and of `tables`.

    A stage of the release may not have run yet, so that the release has no batches of a table. If `complete`
    is true, raises a UsageError that names the command to run. If `complete` is false, the content has no
    rows and no batches for that table.
    """
    members: list[dict[str, Any]] = []
    batches: dict[str, list[Batch]] = {}
    for table in (ISSUES.name, *tables):
        manifests = release.members[table] if complete or table in release.members else ()
        for manifest in manifests:
            members.append(
                {
                    "release_id": release.name,
                    "table_name": table,
                    "day": date.fromisoformat(manifest.day),
                    "batch_id": manifest.batch_id,
                    "digest": manifest.digest,
                    "rows": manifest.rows,
                    "model": manifest.partition.get("model"),
                }
            )
        if table != ISSUES.name:
            batches[table] = [
                Batch(
                    manifest.batch_id,
                    date.fromisoformat(manifest.day),
                    manifest.rows,
                    tuple(release.lake.path(f"{manifest.folder}/{file.name}") for file in manifest.files),
                )
                for manifest in manifests
            ]
    return ReleaseContent(members, batches)


def published_releases(lake: Lake, settings: Settings) -> list[tuple[dict[str, Any], ReleaseContent]]:
    """Returns (record, content) of every published release, in the order in which they last became current.

    A manifest that several releases share is read only once.
    """
    manifests: dict[str, Manifest] = {}
    tables = published_tables(settings)
    releases = []
    for record in published_records(lake, settings):
        release = Pinned(lake, "releases", record["release_id"], manifests)
        releases.append((record, release_content(release, tables, complete=False)))
    return releases
