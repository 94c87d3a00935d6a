"""Publishes a release: makes it the current release in the warehouse and in the lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from pipeline import warehouse
from pipeline.contracts import RELEASE_MEMBERS, RELEASES, SUPERSEDED_OPENINGS, TABLES
from pipeline.errors import StoppedError
from pipeline.lake.pinned import Pinned
from pipeline.releases.current import POINTER
from pipeline.releases.members import ReleaseContent
from pipeline.releases.moved_lake import record_location
from pipeline.releases.records import RECORD
from pipeline.settings import Settings
from pipeline.telemetry import step
from pipeline.warehouse import Batch, ReleaseTables


def make_current(
    settings: Settings,
    release: Pinned,
    content: ReleaseContent,
    record: dict[str, Any],
    published: Sequence[tuple[dict[str, Any], ReleaseContent]],
) -> dict[str, Any]:
    """Makes a release the current one. Returns the release's record with the time of publication.

    `content` has the batches of the release, and `record` is the record that the audit returned. `published`
    has the records and contents of all published releases.

    The steps are:

    1. Load the batches into the warehouse.
    2. Stage the release: write its rows without showing them to readers.
    3. Run the checks in `sql/checks` on the staged release.
    4. Make the release the current one, in a single step.
    5. Write the release's record, and set the lake's pointer to the release.

    Raises StoppedError if a check fails. The error names the check and the first wrong row. The caller must
    hold the publish lock.
    """
    published_at = datetime.now(UTC).isoformat(timespec="microseconds")
    record = {**record, "rolled_back": False, "published_at": published_at}
    earlier = [(old, old_content) for old, old_content in published if old["release_id"] != release.name]
    records = [*(old for old, _ in earlier), record]
    contents = [*(old_content for _, old_content in earlier), content]
    tables, batches = _release_tables(records, contents), _batches_of(contents)
    connection = warehouse.connect(settings, "publish", release_id=record["release_id"])
    with step("load"):
        for table, table_batches in batches.items():
            connection.load(TABLES[table], table_batches)
    with step("check and make current"), connection.stage(tables, batches) as staged:
        for failure in staged.check():
            raise StoppedError(
                f"Release {record['release_id']}: {failure.count} rows fail the check {failure.check} "
                f"({failure.prose}). The first row: {failure.rows.slice(0, 1).to_pylist()[0]}.",
                "Readers still see the release that was current before. "
                f"The query of the check is in sql/checks/{failure.check}.sql.",
                event=f"release/{record['release_id']}/{failure.check}",
            )
        staged.make_current()
    release.notes[RECORD] = record
    release.lake.put_json(POINTER, {"release_id": record["release_id"]})
    if not published:  # later, the folder is recorded only after a moved lake has been changed completely
        record_location(release.lake)
    return record


def _release_tables(
    records: Sequence[Mapping[str, Any]], contents: Sequence[ReleaseContent]
) -> ReleaseTables:
    """Returns the tables that describe the releases: releases_v1, release_members_v1 and
    superseded_openings_v1. The last of `records` belongs to the release that is to become the current one."""
    members = [row for content in contents for row in content.members]
    superseded = [row for content in contents for row in content.superseded]
    return ReleaseTables(
        releases_table(records),
        pa.Table.from_pylist(members, RELEASE_MEMBERS.schema),
        pa.Table.from_pylist(superseded, SUPERSEDED_OPENINGS.schema),
    )


def _batches_of(contents: Sequence[ReleaseContent]) -> dict[str, list[Batch]]:
    """Returns the batches of all releases by table. A batch that several releases have is listed once."""
    batches: dict[str, dict[str, Batch]] = {}
    for content in contents:
        for table, of_table in content.batches.items():
            batches.setdefault(table, {}).update((batch.batch_id, batch) for batch in of_table)
    return {table: list(of_table.values()) for table, of_table in batches.items()}


def releases_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Converts the records of all published releases to rows of the table releases_v1. The last row gets the
    status `current`."""
    rows = []
    for record in records:
        status = "rolled_back" if record.get("rolled_back") else "published"
        row = {name: record.get(name) for name in RELEASES.schema.names if name != "status"}
        published_at = datetime.fromisoformat(record["published_at"])
        rows.append({**row, "published_at": published_at, "status": status})
    rows[-1]["status"] = "current"
    return pa.Table.from_pylist(rows, schema=RELEASES.schema)
