"""Removes batches that no model or release uses any more, and unfinished files of killed processes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from pipeline.lake.batches import CURRENT, KEYS, PARTS, Lake
from pipeline.lake.manifest import MANIFEST
from pipeline.lake.store import UNFINISHED


def sweep_batches(
    lake: Lake,
    tables: Collection[str],
    referenced: Collection[str],
    older_than: timedelta,
    now: datetime,
    *,
    keep_current_of: Collection[str],
) -> int:
    """Removes the batches of `tables` that are not used any more. Returns the number of removed batches.

    Three kinds of batches are kept:

    - batches whose folders are in `referenced`
    - batches whose newest file is younger than `older_than`, because a stage may still be writing them
    - the current batch of each day, for the tables in `keep_current_of`

    The records of finished files (`pipeline.lake.finished_parts`) are removed by the same rule of age.

    Raises LakeError if the storage fails.
    """
    removed = 0
    for table in tables:
        for partition in _partitions(lake, table):
            keep_current = table in keep_current_of and "/day=" in partition
            removed += _sweep_partition(
                lake, partition, referenced, older_than, now, keep_current=keep_current
            )
    return removed


def sweep_unfinished_files(lake: Lake, older_than: timedelta, now: datetime) -> None:
    """Removes the files in the folder UNFINISHED that are older than `older_than`. They were left behind by
    processes that were killed while writing a file."""
    for name in lake.names(UNFINISHED):
        if _is_older(lake, f"{UNFINISHED}/{name}", older_than, now):
            lake.delete(f"{UNFINISHED}/{name}")


def _is_older(lake: Lake, path: str, age: timedelta, now: datetime) -> bool:
    """Returns whether the newest file in the folder `path` is older than `age`. Returns False if no file is
    listed, because a process may be writing the first file of the folder."""
    modified = lake.modified(path)
    return modified is not None and now - modified >= age


def _partitions(lake: Lake, folder: str) -> Iterator[str]:
    """Yields the folders of a table's partitions. These are the innermost folders with a name of the form
    KEY=VALUE, such as day=2015-01-01."""
    inner = [name for name in lake.names(folder) if "=" in name]
    if not inner and "=" in folder:
        yield folder
    for name in inner:
        yield from _partitions(lake, f"{folder}/{name}")


def _sweep_partition(
    lake: Lake,
    partition: str,
    referenced: Collection[str],
    older_than: timedelta,
    now: datetime,
    *,
    keep_current: bool,
) -> int:
    pointer = lake.get_json(f"{partition}/{CURRENT}")
    current = pointer["batch_id"] if pointer else None
    removed = set()
    for name in lake.names(partition):
        folder = f"{partition}/{name}"
        if name in (KEYS, CURRENT) or folder in referenced or (keep_current and name == current):
            continue
        if _is_older(lake, folder, older_than, now):
            removed.add(name)
    # Pointers are deleted first, so that no pointer names a batch that is only partly deleted.
    for key in lake.names(f"{partition}/{KEYS}"):
        target = lake.get_json(f"{partition}/{KEYS}/{key}")
        if target and target["batch_id"] in removed:
            lake.delete(f"{partition}/{KEYS}/{key}")
    if current in removed:
        lake.delete(f"{partition}/{CURRENT}")
    for name in sorted(removed):
        lake.delete(f"{partition}/{name}/{MANIFEST}")
        lake.delete_folder(f"{partition}/{name}")
    return len(removed - {PARTS})
