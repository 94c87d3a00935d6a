"""Determines which release is current, that is, which release readers see.

The current release is the one that the warehouse marks as current. The lake has a pointer to it (a file with
its id), so that commands need not query the warehouse. A publication updates the warehouse first and then the
pointer.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import warehouse
from pipeline.contracts import RELEASES
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import Document, Name, delete_and_run
from pipeline.lake.pinned import Pinned
from pipeline.releases.records import RECORD, record_from_row
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
    not the warehouse."""
    pointer = lake.get_json(POINTER, POINTER_DOCUMENT)
    return None if pointer is None else pointer.release_id


def require_current(lake: Lake) -> Pinned:
    """Returns the current release. Reads only the lake, not the warehouse. Raises UsageError if no release
    was published yet."""
    release_id = current_release_id(lake)
    if release_id is None:
        raise UsageError(
            f"No release is published in {lake.root}.",
            "Publish one: titler run --from 2015-01-01 --to 2015-01-01",
        )
    return Pinned(lake, "releases", release_id)


def point_to(lake: Lake, release_id: str) -> None:
    """Records in the lake that `release_id` is the current release. Writes nothing if this is recorded
    already."""
    if current_release_id(lake) != release_id:
        lake.put_json(POINTER, {"release_id": release_id})


def reconcile_current(lake: Lake, settings: Settings) -> str | None:
    """Returns the id of the release that is current in the warehouse, or None if no release was published
    yet.

    If a command crashed just after it had updated the warehouse, two files in the lake are missing or
    outdated: the release's record, and the pointer to the current release. This function then writes them.
    The caller must hold the publish lock.
    """
    connection = warehouse.connect(settings, "publish")
    release_id = connection.current_release()
    if release_id is not None:
        row = next(row for row in connection.records(RELEASES) if row["release_id"] == release_id)
        release, record = Pinned(lake, "releases", release_id), record_from_row(row)
        if release.notes[RECORD] != record:
            release.notes[RECORD] = record
        point_to(lake, release_id)
    return release_id
