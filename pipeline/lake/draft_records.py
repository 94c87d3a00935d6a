"""Records of batches that may be unused: new batches (drafts), and batches whose last model or release is
being removed.

`titler collect` removes the batches that nothing uses. To find them, it does not search the whole lake, but
reads two kinds of records:

- A draft record is written before the first file of a batch. It is deleted when `titler collect` removes the
  batch, or finds that a model or a release that it keeps refers to the batch.
- A record of the kind UNUSED is written before `titler collect` removes the last model or release that refers
  to a batch. If `titler collect` is then killed, its next run reads the records and removes the batches.

    ROOT/drafts/TABLE,day=2015-01-01,BATCH
    ROOT/unused/TABLE,day=2015-01-01,BATCH

A record has no content.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from datetime import datetime

from pipeline.lake.files import LakeFiles

DRAFTS = "drafts"
UNUSED = "unused"


def record_draft(lake: LakeFiles, folder: str) -> None:
    """Records that a stage has begun to write the batch in `folder`."""
    record_batches(lake, DRAFTS, [folder])


def record_batches(lake: LakeFiles, kind: str, folders: Iterable[str]) -> None:
    """Writes a record for each of these batches. `kind` is DRAFTS or UNUSED."""
    lake.for_each(lambda folder: lake.put(_path(kind, folder), b""), sorted(folders))


def recorded_batches(lake: LakeFiles, kind: str) -> dict[str, datetime]:
    """Returns the folders of the recorded batches of a kind, and when each was recorded. The listing of a
    bucket may lack the newest records."""
    return {name.replace(",", "/"): time for name, time in lake.written(kind).items()}


def forget_batches(lake: LakeFiles, kind: str, folders: Iterable[str]) -> None:
    """Deletes the records of the batches in `folders`. `kind` says which records: DRAFTS or UNUSED."""
    lake.for_each(lake.delete, [_path(kind, folder) for folder in sorted(folders)])


def _path(kind: str, folder: str) -> str:
    return posixpath.join(kind, folder.replace("/", ","))
