"""Part of the stage `forget`: handles batches with a missing or damaged file, which cannot be searched.

Nobody can say whether such a batch has forgotten rows. If the batch is still needed, for example by the
current release, it must be repaired first. Otherwise `forget` deletes the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import DamagedBatchError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.lake.sweep import is_current
from pipeline.releases.current import current_release_id
from pipeline.settings import Settings
from pipeline.stages.collect import RetainedBatches
from pipeline.tracking import open_tracking

Damaged = dict[str, DamagedBatchError]
"""The error about each damaged batch, by the folder of the batch."""


def check_not_needed(lake: Lake, settings: Settings, damaged: Mapping[str, DamagedBatchError]) -> None:
    """Raises DamagedBatchError if a damaged batch is still needed.

    A batch is needed if it belongs to the current release or its model, to the champion or the previous
    champion, or to the next release, or if it is the current batch of its partition. Damaged batches of other
    releases and models may be deleted, because they cannot be read anyway.
    """
    if not damaged:
        return
    models = {version.model for version in open_tracking(settings, lake).champion_and_previous()}
    release_id = current_release_id(lake)
    releases = [] if release_id is None else [Pinned(lake, "releases", release_id)]
    models |= {str(release.facts["model"]) for release in releases}
    subjects = [*releases, *(Pinned(lake, "models", name) for name in sorted(models))]
    retained = RetainedBatches.of(lake, subjects).folders
    for folder, error in sorted(damaged.items()):
        if folder in retained or is_current(lake, folder):
            raise error
