"""Determines which batches belong to a release in the warehouse, and which of them the warehouse must load.

Each batch of a release is a row of the table release_members_v1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.contracts import (
    DUPLICATE_MARKS,
    DUPLICATE_PAIRS,
    EMBEDDINGS,
    ISSUES,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    TABLES,
    TITLE_PREDICTIONS,
)
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.damaged_batches import damaged_batches
from pipeline.lake.members import EARLIER_TABLES, SharedPages
from pipeline.lake.pinned import Pinned
from pipeline.releases.completeness import check_published_tables
from pipeline.settings import Settings
from pipeline.warehouse import Batch

PUBLISHED_TABLES = (
    SOURCE_HEALTH.name,
    DUPLICATE_MARKS.name,
    TITLE_PREDICTIONS.name,
    SIMILAR_ISSUES.name,
    DUPLICATE_PAIRS.name,
)
TABLES_OF_LATER_VERSIONS = (DUPLICATE_MARKS.name, DUPLICATE_PAIRS.name)
"""Published tables that a release may lack, because earlier versions of Titler made releases without them."""


def published_tables(settings: Settings) -> tuple[str, ...]:
    """Returns the names of the tables that are published in the warehouse. They include the table of
    embeddings only if the setting `warehouse.embeddings` is on."""
    return (*PUBLISHED_TABLES, EMBEDDINGS.name) if settings.warehouse.embeddings else PUBLISHED_TABLES


@dataclass(frozen=True)
class ReleaseContent:
    """The content of a release in the warehouse.

    `members` are the release's rows of the table release_members_v1. There is one row for each batch of
    issues, and one for each batch of a published table. `superseded` are the release's rows of the table
    superseded_openings_v1. `batches` maps the name of each published table to the batches that the warehouse
    loads into this table.
    """

    members: Sequence[Mapping[str, Any]]
    superseded: Sequence[Mapping[str, Any]]
    batches: Mapping[str, Sequence[Batch]]

    @property
    def keys(self) -> set[tuple[str, str, str]]:
        """The table, the day and the batch id of every batch of the release."""
        return member_keys(self.members)


def member_keys(rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """Returns the table, the day and the batch id of each row, as a set. `rows` are rows of the table
    release_members_v1."""
    return {(row["table_name"], str(row["day"]), row["batch_id"]) for row in rows}


def release_content(release: Pinned, tables: Sequence[str], *, complete: bool) -> ReleaseContent:
    """Returns what the warehouse has to know about a release: its batches of issues and of `tables`.

    If the stage of a table has not run yet, the release has no batches of this table, and the content has
    none. But if `complete` is true and the table is not in TABLES_OF_LATER_VERSIONS, raises UsageError
    instead. The error names the command to run.

    A release that an earlier version of Titler made may have an earlier table in place of one of `tables`.
    Then the batches of this earlier table are returned. If the folder of a published release was deleted and
    `complete` is false, the content is empty.
    """
    members: list[dict[str, Any]] = []
    batches: dict[str, list[Batch]] = {}
    for name in (ISSUES.name, *tables):
        earlier = EARLIER_TABLES.get(name, name)
        table = earlier if name not in release.members and earlier in release.members else name
        required = complete and table not in TABLES_OF_LATER_VERSIONS
        manifests = release.members[table] if required or table in release.members else ()
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
            file_columns = TABLES[table].file_columns
            batches[table] = [
                Batch(
                    manifest.batch_id,
                    date.fromisoformat(manifest.day),
                    manifest.rows,
                    tuple(release.lake.path(f"{manifest.folder}/{file.name}") for file in manifest.files),
                    all(file.columns == file_columns for file in manifest.files),
                    tuple(file.sha256 for file in manifest.files),
                )
                for manifest in manifests
            ]
    return ReleaseContent(members, _superseded(release) if members or complete else [], batches)


def _superseded(release: Pinned) -> list[dict[str, Any]]:
    """Returns the rows of the table superseded_openings_v1 of a release."""
    return [
        {"release_id": release.name, "day": date.fromisoformat(day), "issue_id": issue_id}
        for day, issue_ids in release.plan.superseded.items()
        for issue_id in issue_ids
    ]


def contents_of_releases(
    lake: Lake, settings: Settings, records: Sequence[dict[str, Any]], unreadable: dict[str, LakeError]
) -> list[tuple[dict[str, Any], ReleaseContent]]:
    """Returns the contents of published releases, as pairs (record, content). `records` are the records of
    these releases. The pairs are in the same order.

    Leaves out a release if one of its files is missing or damaged, or if one of its batches that the
    warehouse shows is marked as damaged. Adds the name of this release and the error to `unreadable`.
    """
    shared_pages: SharedPages = {}
    tables = published_tables(settings)
    releases, damaged = [], damaged_batches(lake)
    for record in records:
        release = Pinned(lake, "releases", record["release_id"], shared_pages)
        try:
            check_published_tables(release, record)
            content = release_content(release, tables, complete=False)
            _require_intact(release, tables, damaged)
        except LakeError as error:
            unreadable[release.name] = error
        else:
            releases.append((record, content))
    return releases


def _require_intact(release: Pinned, tables: Sequence[str], damaged: Collection[str]) -> None:
    """Raises LakeError if one of a release's batches of `tables` is in `damaged`, which are the folders of
    the damaged batches. Views that read such a batch would fail."""
    batches = (batch for name in tables if name in release.members for batch in release.members[name])
    folder = next((batch.folder for batch in batches if batch.folder in damaged), None)
    if folder is not None:
        raise LakeError(
            f"The batch {release.lake.path(folder)} of release {release.name} is damaged.",
            "To see which releases use this batch, and what to do about each of them: titler verify",
        )


def check_new_files(release: Pinned, tables: Sequence[str], shown: Collection[tuple[str, str, str]]) -> None:
    """Checks that the files of a release are intact, that is, that they match the digests in their manifests.
    The caller does this before views of the warehouse read the files, because DuckDB and BigQuery themselves
    do not check the digests. Batches that the warehouse shows already are not checked; `shown` are their keys
    (`ReleaseContent.keys`).

    If the lake is a bucket, nothing is checked here, because Titler checks each file later, when it copies or
    loads the file into the warehouse. Raises LakeError if a file is missing or damaged.
    """
    lake = release.lake
    if "://" in lake.root.removeprefix("file://"):
        return
    for name in tables:
        if name in release.members:
            for batch in release.members[name]:
                if (name, batch.day, batch.batch_id) not in shown:
                    lake.local_copy(batch)
