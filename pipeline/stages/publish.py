"""publish: audits a release, then makes it current in one step. rollback does the same for an earlier
release.

In this order, under the publish lock: reconcile with what the warehouse shows; audit; load the batches; stage
the release beside the current one; run the checks of `sql/checks`; swap, which is the one step that readers
see; write the record; set the lake's pointer. A crash before the swap changes nothing for readers, and the
next command repairs what a crash after it left.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline import warehouse
from pipeline.contracts import RELEASE_MEMBERS, TABLES
from pipeline.errors import StoppedError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.audit import audit
from pipeline.releases.current import point_to, reconcile_current
from pipeline.releases.members import ReleaseBatches, published_tables
from pipeline.releases.records import published_records, read_record, releases_table, write_record
from pipeline.settings import Settings


def run(lake: Lake, settings: Settings, release: Pinned, accepted: Mapping[str, str]) -> dict[str, Any]:
    """Publishes a release and returns its record. A release that is current already is published again only
    if its batches have changed.

    `accepted` maps collapsed days to the reason for accepting them. Raises UsageError for a release that
    other releases have followed, which `rollback` is for; StoppedError if the audit or a check fails.
    """
    with warehouse.connect(settings, "publish").exclusive_lock():
        current, published = reconcile_current(lake, settings), read_record(lake, release.name)
        if published is not None and current != release.name:
            raise UsageError(
                f"Release {release.name} was published at {published['published_at'][:19]} UTC, and {current} followed it.",
                f"To make it current again: titler rollback {release.name}",
            )
        if published is not None and _warehouse_shows(lake, settings, release.name):
            return published
        return make_current(lake, settings, audit(lake, settings, release, accepted))


def rollback(lake: Lake, settings: Settings, release_id: str) -> dict[str, Any]:
    """Makes an earlier release current again; returns its record. Raises UsageError if it was never
    published."""
    with warehouse.connect(settings, "publish").exclusive_lock():
        record = read_record(lake, release_id)
        if record is None:
            published = ", ".join(one["release_id"] for one in published_records(lake, settings)) or "none"
            raise UsageError(
                f"{release_id} was never published (published: {published}).",
                "Choose one of these: titler rollback RELEASE",
            )
        if reconcile_current(lake, settings) == release_id:
            return record
        later = [
            one for one in published_records(lake, settings) if one["published_at"] > record["published_at"]
        ]
        for one in later:
            write_record(lake, {**one, "rolled_back": True})
        try:
            return make_current(lake, settings, record)
        except BaseException:
            for one in later:
                write_record(lake, one)
            raise


def make_current(lake: Lake, settings: Settings, record: dict[str, Any]) -> dict[str, Any]:
    """Loads, stages, checks and swaps in the release of a record; returns the record with the time of
    publication.

    Raises StoppedError, naming the first failed check of `sql/checks` and its first row. The caller must hold
    the publish lock.
    """
    release_id = record["release_id"]
    published_at = datetime.now(UTC).isoformat(timespec="microseconds")
    record = {**record, "rolled_back": False, "published_at": published_at}
    others = [one for one in published_records(lake, settings) if one["release_id"] != release_id]
    records, tables = [*others, record], published_tables(settings)
    release_ids = [one["release_id"] for one in records]
    members = ReleaseBatches(lake)
    batches = {table: members.batches(release_ids, table) for table in tables}
    connection = warehouse.connect(settings, "publish", release_id=release_id)
    require_members(lake, release_id, tables)
    for table, table_batches in batches.items():
        connection.load(TABLES[table], table_batches)
    rows = releases_table(records, release_id), members.member_rows(release_ids, tables)
    with connection.stage(*rows, batches) as staged:
        for failure in staged.check():
            raise StoppedError(
                f"Release {release_id}: {failure.count} rows fail the check {failure.check} ({failure.prose}). "
                f"The first: {failure.rows.slice(0, 1).to_pylist()[0]}.",
                f"The current release stays current. The check: sql/checks/{failure.check}.sql",
                event=f"release/{release_id}/{failure.check}",
            )
        staged.make_current()
    write_record(lake, record)
    point_to(lake, release_id)
    return record


def require_members(lake: Lake, release_id: str, tables: tuple[str, ...]) -> None:
    """Raises UsageError, naming the verb to run, if a release lacks the batches of a table; LakeError if one
    is missing."""
    members = Pinned(lake, "releases", release_id).members
    for table in tables:
        members[table]


def current(lake: Lake, settings: Settings) -> str | None:
    """The id of the release that readers of the warehouse see; repairs record and pointer as
    `reconcile_current` does."""
    with warehouse.connect(settings, "publish").exclusive_lock():
        return reconcile_current(lake, settings)


def _warehouse_shows(lake: Lake, settings: Settings, release_id: str) -> bool:
    """Whether the warehouse shows exactly the batches that belong to the release now.

    It may not: another process may have made some again, and publishing embeddings is a setting.
    """
    columns = ("table_name", "day", "batch_id")
    shown = warehouse.connect(settings, "publish").records(RELEASE_MEMBERS)
    shown = [row for row in shown if row["release_id"] == release_id]
    own = ReleaseBatches(lake).member_rows([release_id], published_tables(settings)).to_pylist()
    shown_keys, own_keys = (
        sorted(tuple(str(row[name]) for name in columns) for row in rows) for rows in (shown, own)
    )
    return shown_keys == own_keys
