"""Checks that the warehouse and MLflow belong to a lake, and agree with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import warehouse
from pipeline.contracts import RELEASE_MEMBERS, RELEASES
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.completeness import check_complete
from pipeline.releases.current import current_release_id
from pipeline.releases.lost_champion import known_champion
from pipeline.releases.members import member_keys, published_tables, release_content
from pipeline.releases.records import RECORD, record_from_row
from pipeline.settings import Settings
from pipeline.tracking import open_tracking


def check_tracking(lake: Lake, settings: Settings) -> None:
    """Raises LakeError if MLflow has lost the model of the current release, and TitlerError if MLflow does
    not answer."""
    release_id = current_release_id(lake)
    if release_id is not None:
        known_champion(open_tracking(settings, lake), Pinned(lake, "releases", release_id))


def check_warehouse(lake: Lake, settings: Settings, releases: Collection[str]) -> None:
    """Raises TitlerError if the warehouse cannot be read, or if it differs from the lake.

    Checks that the same release is current in both. If the warehouse has a release of `releases`, compares
    its record and its batches with those in the lake. Also checks that the views of DuckDB's file read the
    folder of this lake.
    """
    connection = warehouse.connect(settings, "status")
    shown, current = connection.current_release(), current_release_id(lake)
    if shown is None and current is None:
        return
    if shown != current:
        raise LakeError(
            f"The current release of the warehouse {settings.warehouse_name} is {shown or 'none'}, but the "
            f"current release of the lake {lake.root} is {current or 'none'}.",
            _reconcile(lake, shown, current),
        )
    rows = {str(row["release_id"]): row for row in connection.records(RELEASES)}
    members = connection.records(RELEASE_MEMBERS)
    for name in sorted(rows.keys() & set(releases)):
        _check_rows(
            settings,
            Pinned(lake, "releases", name),
            rows[name],
            members,
            f"titler publish --release {current}",
        )
    _check_views(lake, settings)


def _reconcile(lake: Lake, shown: str | None, current: str | None) -> str:
    """Returns what to type if the warehouse shows the release `shown`, and the lake has the current release
    `current`."""
    if shown is None:
        return f"Run: titler rollback {current}"
    if shown in pinned_names(lake, "releases"):
        return "Run: titler plan"
    return "The warehouse belongs to another lake. To see which lake and warehouse are set: titler doctor"


def _check_rows(
    settings: Settings,
    release: Pinned,
    row: Mapping[str, Any],
    members: Sequence[Mapping[str, Any]],
    publish: str,
) -> None:
    """Raises LakeError if the warehouse's rows of a release differ from its record or batches in the lake."""
    record = release.notes[RECORD]
    if record is None:
        return
    check_complete(release, record)
    shown = member_keys([each for each in members if each["release_id"] == release.name])
    content = release_content(release, published_tables(settings), complete=True)
    if record_from_row(row) != record or not shown >= content.keys:
        raise LakeError(
            f"The record or the batches of release {release.name} in the warehouse {settings.warehouse_name} "
            "differ from those in the lake.",
            f"Run: {publish}",
        )


def _check_views(lake: Lake, settings: Settings) -> None:
    """Raises LakeError if views of the DuckDB file in the lake's folder read files outside of this folder."""
    if settings.warehouse.kind != "duckdb" or "://" in lake.root.removeprefix("file://"):
        return
    from pipeline.warehouse.duckdb.moved_file import outdated_views

    root, path = (
        Path(lake.root.removeprefix("file://")),
        Path(settings.warehouse_path.removeprefix("file://")),
    )
    views = outdated_views(path, root)
    if views:
        raise LakeError(
            f"The views {', '.join(sorted(views))} of the warehouse {path} read files outside of the lake "
            f"{root}.",
            "If another lake uses this warehouse, set warehouse.path to another file. Otherwise:\n"
            f"Delete the file {path}\n"
            f"Run: titler rollback {current_release_id(lake)}",
        )
