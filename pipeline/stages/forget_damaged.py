"""Part of the stage `forget`: batches with a missing or damaged file, which cannot be searched.

Nobody can say whether such a batch contains something forgotten. If the current release or the next one needs
the batch, it must be made again first. Otherwise `forget` deletes what is left of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import DamagedBatchError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.lake.sweep import is_current
from pipeline.releases.current import current_release_id
from pipeline.stages.collect import RetainedBatches

Damaged = dict[str, DamagedBatchError]
"""The error about each damaged batch, by the folder of the batch."""


def check_not_needed(lake: Lake, damaged: Mapping[str, DamagedBatchError]) -> None:
    """Raises DamagedBatchError if the current release, its model or the next release needs one of these
    batches. The batches of other releases and models may be deleted: they cannot be read anyway."""
    if not damaged:
        return
    release_id = current_release_id(lake)
    subjects = []
    if release_id is not None:
        release = Pinned(lake, "releases", release_id)
        subjects = [release, Pinned(lake, "models", str(release.facts["model"]))]
    retained = RetainedBatches.of(lake, subjects).folders
    for folder, error in sorted(damaged.items()):
        if folder in retained or is_current(lake, folder):
            raise error
