"""Records of the batches that were begun and that no model or release names yet.

`titler collect` removes batches that nothing uses. It does not search the whole lake for them. It looks at
the batches of the models and releases that it removes, and at these records. A record is written before the
first file of a batch. It is deleted when a model or a release that is kept names the batch, or when the batch
is removed.

    ROOT/drafts/TABLE,day=2015-01-01,BATCH

A record has no content.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from datetime import datetime

from pipeline.lake.files import LakeFiles

FOLDER = "drafts"


def record_draft(lake: LakeFiles, folder: str) -> None:
    """Records that the batch in `folder` is begun."""
    lake.put(_path(folder), b"")


def recorded_drafts(lake: LakeFiles) -> dict[str, datetime]:
    """Returns the folders of the recorded batches, and when each was recorded. The listing of a bucket may
    lack the newest records."""
    return {name.replace(",", "/"): time for name, time in lake.written(FOLDER).items()}


def forget_drafts(lake: LakeFiles, folders: Iterable[str]) -> None:
    """Deletes the records of batches."""
    lake.for_each(lake.delete, [_path(folder) for folder in folders])


def _path(folder: str) -> str:
    return posixpath.join(FOLDER, folder.replace("/", ","))
