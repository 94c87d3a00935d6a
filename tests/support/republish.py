"""Shows a lake's release in a warehouse once more: after a lake was copied, or in a second warehouse."""

from __future__ import annotations

from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.members import contents_of_releases, published_tables, release_content
from pipeline.releases.publication import make_current
from pipeline.releases.records import RECORD, published_records
from pipeline.settings import Settings


def republish(lake: Lake, settings: Settings, release_id: str) -> None:
    """Makes a published release current in the warehouse of the settings, whose views then show this
    lake's files."""
    release = Pinned(lake, "releases", release_id)
    content = release_content(release, published_tables(settings), complete=True)
    make_current(
        settings,
        release,
        content,
        release.notes[RECORD],
        contents_of_releases(lake, settings, published_records(lake, settings), {}),
    )
