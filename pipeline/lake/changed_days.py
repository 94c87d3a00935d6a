"""Marks the source days whose current batches have changed since the catalogue of days
(`pipeline.lake.day_catalogue`) was last brought up to date.

A stage that replaces the current batch of a day first writes a mark, then the pointer to the batch. The stage
`plan` reads the days that have a mark, updates the catalogue, and deletes the marks of batches that are then
in the catalogue. So it need not read the pointers of all days.

    ROOT/days/changed/DAY,TABLE,BATCH,ID

A mark has no content. Its id is random, so that deleting a mark never deletes a newer mark. If a stage is
killed after it has written the mark but before it has written the pointer, the mark stays for a while, and
`plan` looks at the day again, which is harmless.
"""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pipeline.contracts import ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.lake.files import LakeFiles
from pipeline.lake.manifest import CURRENT, Manifest, partition_folder

FOLDER = "days/changed"
MARKED_TABLES = (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name)
"""The tables whose current batches a release uses."""


@dataclass(frozen=True)
class Change:
    """A mark: it says that a batch became the current batch of a day (YYYY-MM-DD) in a table. `marked_at` is
    the time at which the mark was written."""

    day: str
    table: str
    batch_id: str
    path: str
    marked_at: datetime


def make_current(lake: LakeFiles, batch: Manifest) -> None:
    """Makes a batch the current batch of its partition, which is a source day or a user's file. If the
    partition is a day and the table is one of MARKED_TABLES, first marks the day as changed."""
    if batch.table in MARKED_TABLES and "day" in batch.partition:
        mark_change(lake, batch.day, batch.table, batch.batch_id)
    folder = partition_folder(batch.table, batch.partition)
    lake.put_json(posixpath.join(folder, CURRENT), {"batch_id": batch.batch_id})


def mark_change(lake: LakeFiles, day: str, table: str, batch_id: str) -> None:
    """Marks a day as changed, because the batch `batch_id` of a table is about to become the day's current
    batch."""
    lake.put(posixpath.join(FOLDER, f"{day},{table},{batch_id},{uuid.uuid4().hex[:8]}"), b"")


def list_changes(lake: LakeFiles) -> list[Change]:
    """Returns all marks, sorted by day. The listing of a bucket may lack the newest marks. The stage `plan`
    finds these when it runs again."""
    changes = []
    for name, marked_at in sorted(lake.written(FOLDER).items()):
        if name.count(",") == 3:  # another program may have left a file of its own
            day, table, batch_id, _ = name.split(",")
            changes.append(Change(day, table, batch_id, posixpath.join(FOLDER, name), marked_at))
    return changes


def delete_changes(lake: LakeFiles, changes: Iterable[Change]) -> None:
    """Deletes marks."""
    lake.for_each(lake.delete, [change.path for change in changes])
