"""The batches that belong to releases, as rows of release_members_v1 and as what the warehouse loads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from pipeline.contracts import (
    EMBEDDINGS,
    ISSUES,
    RELEASE_MEMBERS,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TITLE_PREDICTIONS,
)
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.settings import Settings
from pipeline.warehouse import Batch

PUBLISHED_TABLES = (SOURCE_HEALTH.name, TITLE_PREDICTIONS.name, SIMILAR_ISSUES.name)


def published_tables(settings: Settings) -> tuple[str, ...]:
    """The tables whose rows a release has in the warehouse. Embeddings are published by setting."""
    return (*PUBLISHED_TABLES, EMBEDDINGS.name) if settings.warehouse.embeddings else PUBLISHED_TABLES


class ReleaseBatches:
    """The batches of several releases. Each manifest is read once, however many releases name it."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._manifests: dict[str, Manifest] = {}

    def manifests(self, release_id: str, table: str) -> list[Manifest]:
        """The batches of a table that belong to a release; empty if its stage has not run."""
        folders = Pinned(self._lake, "releases", release_id).members.folders(table)
        for folder in folders:
            if folder not in self._manifests:
                self._manifests[folder] = self._lake.manifest(folder)
        return [self._manifests[folder] for folder in folders]

    def member_rows(self, release_ids: Sequence[str], published: Sequence[str]) -> pa.Table:
        """release_members_v1 of these releases: their batches of issues and of the `published` tables."""
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
            for table in (ISSUES.name, *published)
            for manifest in self.manifests(release_id, table)
        ]
        return pa.Table.from_pylist(rows, schema=RELEASE_MEMBERS.schema)

    def batches(self, release_ids: Sequence[str], table: str) -> list[Batch]:
        """The batches of a table that any of these releases names, each once, as the warehouse loads them."""
        manifests = {
            manifest.batch_id: manifest
            for release_id in release_ids
            for manifest in self.manifests(release_id, table)
        }
        return [
            Batch(
                manifest.batch_id,
                date.fromisoformat(manifest.day),
                manifest.rows,
                tuple(self._lake.path(f"{manifest.folder}/{file.name}") for file in manifest.files),
            )
            for manifest in manifests.values()
        ]
