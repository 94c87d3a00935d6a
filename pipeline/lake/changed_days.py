"""Marks the source days whose current batches have changed since the last release was planned.

A stage that replaces the current batch of a day first writes a mark, then the pointer to the batch. The stage
`plan` reads the days that have a mark and deletes the marks. So it need not read the pointers of all days.

    ROOT/days/changed/DAY,TABLE,BATCH

The mark has no content. It stays until the pointer names its batch: if the stage is killed between the two
writes, the next plan looks at the day once more, which does no harm.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pipeline.contracts import ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.lake.files import LakeFiles
from pipeline.lake.manifest import CURRENT, Manifest, partition_folder

FOLDER = "days/changed"
MARKED_TABLES = (ISSUES.name, SOURCE_HEALTH.name, TOKENS.name)
"""The tables that a release takes the current batches of."""


@dataclass(frozen=True)
class Change:
    """A mark: a batch that became the current batch of a day (YYYY-MM-DD) in a table. `marked_at` is the time
    at which the mark was written."""

    day: str
    table: str
    batch_id: str
    marked_at: datetime

    @property
    def path(self) -> str:
        """The path of the mark, relative to the root of the lake."""
        return _path(self.day, self.table, self.batch_id)


def make_current(lake: LakeFiles, batch: Manifest) -> None:
    """Makes a batch the current one of its partition, which is a source day or a user's file. Marks the day
    first."""
    if batch.table in MARKED_TABLES and "day" in batch.partition:
        lake.put(_path(batch.day, batch.table, batch.batch_id), b"")
    folder = partition_folder(batch.table, batch.partition)
    lake.put_json(posixpath.join(folder, CURRENT), {"batch_id": batch.batch_id})


def list_changes(lake: LakeFiles) -> list[Change]:
    """Returns all marks, sorted by day. The listing of a bucket may lack the newest; a later plan finds
    them."""
    changes = []
    for name, marked_at in sorted(lake.written(FOLDER).items()):
        day, table, batch_id = name.split(",")
        changes.append(Change(day, table, batch_id, marked_at))
    return changes


def delete_changes(lake: LakeFiles, changes: Iterable[Change]) -> None:
    """Deletes marks."""
    lake.for_each(lake.delete, [change.path for change in changes])


def _path(day: str, table: str, batch_id: str) -> str:
    return posixpath.join(FOLDER, f"{day},{table},{batch_id}")
