"""Determines which release is current, that is, which release readers see.

The current release is the one that the warehouse marks as current. The lake has a pointer to it (a file with
its id), so that commands need not query the warehouse. A publication updates the warehouse first and then the
pointer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline import warehouse
from pipeline.contracts import RELEASES
from pipeline.errors import LakeError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import Document, Name, delete_and_run
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.records import RECORD, read_record, record_from_row
from pipeline.settings import Settings

POINTER = "releases/current.json"


@dataclass(frozen=True)
class ReleasePointer:
    """The content of the pointer to the current release."""

    release_id: Name


POINTER_DOCUMENT: Document[ReleasePointer] = Document(
    ReleasePointer,
    "the pointer to the current release: an object with the key release_id",
    delete_and_run("titler plan"),
)


def current_release_id(lake: Lake) -> str | None:
    """Returns the id of the current release, or None if no release was published yet. Reads only the lake,
    not the warehouse. Raises LakeError if releases were published, but the pointer is missing or damaged."""
    pointer = lake.get_json(POINTER, POINTER_DOCUMENT)
    if pointer is not None:
        return pointer.release_id
    published = [name for name in pinned_names(lake, "releases") if read_record(lake, name)]
    if not published:
        return None
    raise LakeError(
        f"The file {lake.path(POINTER)} is missing, but releases were published: {', '.join(published)}. "
        "The file should have the id of the current release.",
        "To write this file again from the warehouse: titler plan\n"
        f"If the warehouse is lost, too:               titler rollback {published[-1]}",
    )


def require_current(lake: Lake) -> Pinned:
    """Returns the current release. Reads only the lake, not the warehouse. Raises UsageError if no release
    was published yet. Raises LakeError in the same cases as `current_release_id`."""
    release_id = current_release_id(lake)
    if release_id is None:
        raise UsageError(
            f"No release is published in {lake.root}.",
            "Publish a release: titler run --from 2015-01-01 --to 2015-01-01",
        )
    return Pinned(lake, "releases", release_id)


def point_to(lake: Lake, release_id: str) -> None:
    """Makes the lake's pointer point to the release `release_id`, which is then the current one. Writes
    nothing if the pointer does so already. Replaces a damaged pointer."""
    if not _points_to(lake, release_id):
        lake.put_json(POINTER, {"release_id": release_id})


def _points_to(lake: Lake, release_id: str) -> bool:
    """Returns whether the pointer names this release. Returns False if the pointer is missing or
    damaged."""
    try:
        return lake.get_json(POINTER, POINTER_DOCUMENT) == ReleasePointer(release_id)
    except LakeError:
        return False


def reconcile_current(lake: Lake, settings: Settings) -> str | None:
    """Returns the id of the release that is current in the warehouse, or None if no release was published
    yet.

    If the record of this release or the lake's pointer is missing, outdated or damaged, this function writes
    it again from the warehouse. The pointer is outdated, for example, if a command crashed just after it had
    updated the warehouse. Raises LakeError if the warehouse belongs to another lake. The caller must hold the
    publish lock.
    """
    connection = warehouse.connect(settings, "publish")
    release_id = connection.current_release()
    if release_id is not None:
        row = next(row for row in connection.records(RELEASES) if row["release_id"] == release_id)
        release, record = Pinned(lake, "releases", release_id), record_from_row(row)
        if (stored := _stored_record(release)) != record:
            if stored is None:
                _require_own(release, settings)
            release.notes[RECORD] = record
        point_to(lake, release_id)
    return release_id


def _stored_record(release: Pinned) -> dict[str, Any] | None:
    """Returns the record of a release, or None if it is missing or damaged."""
    try:
        record: dict[str, Any] | None = release.notes[RECORD]
    except LakeError:
        return None
    return record


def _require_own(release: Pinned, settings: Settings) -> None:
    """Raises LakeError if the lake does not know `release`, which the warehouse shows as current. The lake
    knows a release if it has the release's plan or a pointer to the release. A pointer is enough, because
    a user may have deleted the folder of the release. The error about a damaged plan says to do so if there
    is no backup."""
    lake = release.lake
    if lake.get(release.file("plan.json")) is not None or _points_to(lake, release.name):
        return
    raise LakeError(
        f"The warehouse {settings.warehouse_name} shows release {release.name}, but the lake {lake.root} has "
        "no such release: the warehouse belongs to another lake, or the release's folder was deleted.",
        "Change the settings so that the lake and the warehouse belong together. To see both: titler "
        "doctor\n"
        f"If the folder was deleted, restore {lake.path(release.file(''))} from a backup.",
        final=True,
    )
