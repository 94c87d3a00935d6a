"""Removes batches that no model or release uses any more, and unfinished files of killed processes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.errors import LakeError
from pipeline.lake.batches import CURRENT_POINTER, KEY_POINTER, Lake
from pipeline.lake.manifest import CURRENT, KEYS, MANIFEST, PARTS, Pointer
from pipeline.lake.store import UNFINISHED


@dataclass(frozen=True)
class Swept:
    """The result of removing unused batches. `removed` is the number of removed batches. `spared` are the
    folders of unused batches that were kept, because they are too new or are the current batch of a day."""

    removed: int
    spared: tuple[str, ...]


def sweep_batches(
    lake: Lake,
    tables: Collection[str],
    referenced: Collection[str],
    sparing: datetime,
    *,
    keep_current_of: Collection[str],
) -> Swept:
    """Removes the batches of `tables` that are not used any more. To find them, lists all folders of these
    tables.

    Three kinds of batches are kept:

    - batches whose folders are in `referenced`
    - batches whose newest file was written at the time `sparing` or later, because a stage may still use them
    - the current batch of each day, for the tables in `keep_current_of`

    An interrupted command leaves records of the files that it finished (`pipeline.lake.finished_parts`). If
    all such records in a partition were written before `sparing`, this function also removes them.

    Raises LakeError if the storage fails.
    """
    removed = 0
    spared: list[str] = []
    for table in tables:
        for partition in partitions(lake, table):
            keep_current = table in keep_current_of and "/day=" in partition
            swept = _sweep_partition(lake, partition, referenced, sparing, keep_current=keep_current)
            removed += swept.removed
            spared += swept.spared
    return Swept(removed, tuple(spared))


def is_current(lake: Lake, folder: str) -> bool:
    """Returns whether the batch in `folder` is the current batch of its partition."""
    partition, _, batch_id = folder.rpartition("/")
    return lake.get_json(f"{partition}/{CURRENT}", CURRENT_POINTER) == Pointer(batch_id)


def remove_batch(lake: Lake, folder: str) -> bool:
    """Removes a batch and the pointers to it. If the batch is not complete (it has no manifest),
    also removes all records of finished files (`pipeline.lake.finished_parts`) in its partition. Returns
    whether the batch had any files."""
    partition, _, batch_id = folder.rpartition("/")
    names = lake.names(folder)
    if MANIFEST in names:
        # Pointers are deleted first, so that no pointer names a batch that is only partly deleted.
        pointers = {f"{partition}/{CURRENT}": CURRENT_POINTER}
        try:
            keys = [f"{lake.manifest(folder).key}.json"]
        except LakeError:  # a damaged manifest does not tell its key
            keys = lake.names(f"{partition}/{KEYS}")
        pointers |= {f"{partition}/{KEYS}/{name}": KEY_POINTER for name in keys}
        for pointer, document in pointers.items():
            if lake.get_json(pointer, document) == Pointer(batch_id):
                lake.delete(pointer)
        lake.delete(f"{folder}/{MANIFEST}")
    else:
        lake.delete_folder(f"{partition}/{PARTS}")
    lake.delete_folder(folder)
    return bool(names)


def sweep_unfinished_files(lake: Lake, older_than: timedelta, current_time: datetime) -> None:
    """Removes the files in the folder UNFINISHED that are older than `older_than`. They were left behind by
    processes that were killed while writing a file."""
    for name in lake.names(UNFINISHED):
        if _is_older(lake, f"{UNFINISHED}/{name}", older_than, current_time):
            lake.delete(f"{UNFINISHED}/{name}")


def _is_older(lake: Lake, path: str, age: timedelta, current_time: datetime) -> bool:
    """Returns whether the newest file in the folder `path` is older than `age`. Returns False if no file is
    listed, because a process may be writing the first file of the folder."""
    modified = lake.modified(path)
    return modified is not None and current_time - modified >= age


def partitions(lake: Lake, folder: str) -> Iterator[str]:
    """Yields the folders of a table's partitions. These are the innermost folders with a name of the form
    KEY=VALUE, such as day=2015-01-01."""
    inner = [name for name in lake.names(folder) if "=" in name]
    if not inner and "=" in folder:
        yield folder
    for name in inner:
        yield from partitions(lake, f"{folder}/{name}")


def _sweep_partition(
    lake: Lake, partition: str, referenced: Collection[str], sparing: datetime, *, keep_current: bool
) -> Swept:
    names = [name for name in lake.names(partition) if name not in (KEYS, CURRENT)]
    folders = [f"{partition}/{name}" for name in names]
    unused = [folder for folder in folders if folder not in referenced]
    spared: list[str] = []
    old: list[str] = []
    for folder in unused:
        written = lake.modified(folder)
        is_new = written is None or written >= sparing
        is_kept = is_new or (keep_current and is_current(lake, folder))
        (spared if is_kept else old).append(folder)
    for folder in old:
        if folder.endswith(f"/{PARTS}"):
            lake.delete_folder(folder)
        else:
            remove_batch(lake, folder)
    batches = [folder for folder in old if not folder.endswith(f"/{PARTS}")]
    return Swept(len(batches), tuple(folder for folder in spared if not folder.endswith(f"/{PARTS}")))
