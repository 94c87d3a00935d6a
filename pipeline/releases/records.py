"""Reads the records of published releases.

A record says when and by whom a release was published, which model it uses, and its figures. It is stored in
the lake, and in the warehouse as a row of the table releases_v1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Annotated, Any

from pydantic import AfterValidator, NonNegativeInt, TypeAdapter

from pipeline import warehouse
from pipeline.contracts import RELEASES
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import ABSENT, KnownKeys, Name, Time, object_with
from pipeline.lake.pinned import Note, Pinned, pinned_names
from pipeline.settings import Settings

_ACCEPTANCES = TypeAdapter(list[dict[str, str]])
MARKED_DUPLICATES = "marked_duplicates"
"""Key of a record, and column of releases_v1: a JSON object that says how well the similar issues agree with
duplicate marks."""


class _MarkedKeys(KnownKeys):
    pairs: NonNegativeInt
    recall_at_10: float


_MARKED: TypeAdapter[dict[str, Any]] = TypeAdapter(object_with(_MarkedKeys))


def _check_list_of_acceptances(text: str) -> str:
    _ACCEPTANCES.validate_json(text, strict=True)  # raises ValidationError, which is a ValueError
    return text


def _check_marked(text: str) -> str:
    _MARKED.validate_json(text, strict=True)  # raises ValidationError, which is a ValueError
    return text


class _RecordKeys(KnownKeys):
    """The keys that every record has. Records of later versions of Titler have more keys."""

    release_id: Name
    published_by: str
    published_at: Time
    rolled_back: bool
    model: str
    model_version: str
    vocabulary: str
    mlflow_run: str
    days: NonNegativeInt
    issues: NonNegativeInt
    index_items: NonNegativeInt
    recall_at_10: float
    accepted: Annotated[str, AfterValidator(_check_list_of_acceptances)]
    marked_duplicates: Annotated[str, AfterValidator(_check_marked)] = ABSENT


RECORD = Note(
    "release",
    object_with(_RecordKeys),
    "the record of a published release",
    lambda root, relative: (
        "Delete this file, then run: titler plan\n"
        "This writes the record of the current release again. Another release without a record can no "
        "longer be made current."
    ),
)
"""The note with the record: the file release.json beside the release's plan."""


def read_record(lake: Lake, release_id: str) -> dict[str, Any] | None:
    """Returns the record of a published release from the lake, or None if the release was never published."""
    record: dict[str, Any] | None = Pinned(lake, "releases", release_id).notes[RECORD]
    return record


def published_records(
    lake: Lake,
    settings: Settings,
    unreadable: dict[str, LakeError] | None = None,
    listed: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Returns the records of all published releases, in the order in which the releases last became current.

    The names of the releases come from the lake and from the warehouse, because the listing of a bucket may
    lack the newest release. `listed` are the names in the lake, if the caller has already listed them. If a
    record is damaged and `unreadable` is None, raises LakeError. If `unreadable` is a dict, the release is
    left out, and its name and the error are added to the dict.
    """
    rows = warehouse.connect(settings, "status").records(RELEASES)
    listed = pinned_names(lake, "releases") if listed is None else listed
    names = sorted({*listed, *(str(row["release_id"]) for row in rows)})
    records = []
    for name in names:
        try:
            record = read_record(lake, name)
        except LakeError as error:
            if unreadable is None:
                raise
            unreadable[name] = error
        else:
            records += [record] if record else []
    return sorted(records, key=lambda record: (record["published_at"], record["release_id"]))


def marked_figures(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the figures that say how well the similar issues of a release agree with the comments that
    call two issues duplicates (see `pipeline.index.marked_duplicates`). Returns None if the figures were not
    measured. `record` is the release's record."""
    text = record.get(MARKED_DUPLICATES)
    return None if text is None else _MARKED.validate_json(text)


def record_from_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Converts a row of the table releases_v1 to the record of the release. Leaves out columns that are
    NULL."""
    values = {
        name: value
        for name, value in row.items()
        if name in RELEASES.schema.names and name != "status" and value is not None
    }
    published_at = row["published_at"].astimezone(UTC).isoformat(timespec="microseconds")
    return {**values, "rolled_back": row["status"] == "rolled_back", "published_at": published_at}
