"""Marks of the batches of which a file was found missing or damaged.

A stage takes existing batches from the lists of the release before, without looking at their files. If a file
of a batch turns out to be damaged, the error says to delete the batch and to run the stage again. The mark
lets the stage make the batch again, although the release before still lists it.

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
    """Marks the batch in `folder`. Does nothing if this process may not write to the lake."""
    with suppress(LakeError):
        lake.put(posixpath.join(FOLDER, folder.replace("/", ",")), b"")


def damaged_batches(lake: LakeFiles) -> set[str]:
    """Returns the folders of the marked batches."""
    return {name.replace(",", "/") for name in lake.names(FOLDER)}


def forget_damaged_batches(lake: LakeFiles, except_for: Collection[str]) -> None:
    """Deletes the marks of batches, except for those in the folders `except_for`."""
    folders = sorted(damaged_batches(lake) - set(except_for))
    lake.for_each(lake.delete, [posixpath.join(FOLDER, folder.replace("/", ",")) for folder in folders])
