"""Marks batches as damaged if one of their files is missing or damaged.

Normally, a stage reuses the batches that the previous release lists, without looking at their files. If a
file of a batch turns out to be damaged, the batch is marked, and the error says how to replace the batch.
Because of the mark, the stage then makes a new batch and does not reuse the damaged one. The damaged files
stay where they are until `titler collect` removes the batch. A mark is removed if `titler verify` finds the
batch intact, for example because somebody has restored its files from a backup.

    ROOT/damaged/TABLE,day=2015-01-01,BATCH
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection
from contextlib import suppress

from pipeline.errors import LakeError
from pipeline.lake.files import LakeFiles

FOLDER = "damaged"


def mark_damaged(lake: LakeFiles, folder: str) -> None:
    """Marks the batch in `folder` as damaged. Does nothing if this process may not write to the lake."""
    with suppress(LakeError):
        lake.put(_mark(folder), b"")


def unmark_damaged(lake: LakeFiles, folder: str) -> None:
    """Removes the mark of the batch in `folder`. Does nothing if this process may not write to the lake."""
    with suppress(LakeError):
        lake.delete(_mark(folder))


def damaged_batches(lake: LakeFiles) -> set[str]:
    """Returns the folders of the batches that are marked as damaged."""
    return {name.replace(",", "/") for name in lake.names(FOLDER)}


def forget_damaged_batches(lake: LakeFiles, except_for: Collection[str]) -> None:
    """Deletes the marks of all damaged batches whose folders are not in `except_for`."""
    folders = sorted(damaged_batches(lake) - set(except_for))
    lake.for_each(lake.delete, [_mark(folder) for folder in folders])


def _mark(folder: str) -> str:
    return posixpath.join(FOLDER, folder.replace("/", ","))
