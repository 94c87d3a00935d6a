"""Decides which days of a new release keep the titles of an earlier champion.

If the setting `release.retitle_days` is 0, all titles are predicted again after a promotion, with the new
champion. Otherwise only the titles of the last `release.retitle_days` days are predicted again. For an
earlier day, the new release keeps the titles of the current release, that is, the day's batch of the table
title_predictions_v1. The plan of the new release lists these batches, so a rerun gives the same release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from pipeline.contracts import TITLE_PREDICTIONS
from pipeline.lake.damaged_batches import damaged_batches
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay, Plan
from pipeline.releases.withheld_titles import ACCEPTED, WITHHELD

KEPT_TITLES = "kept_titles"
"""The fact in the plan of a release that maps days to batches of titles of earlier champions."""


def kept_titles(plan: Plan) -> Mapping[str, str]:
    """Returns the batches of titles that a release keeps from earlier champions. The dict maps each day
    (YYYY-MM-DD) that has such a batch to the folder of the batch."""
    folders: Mapping[str, str] = plan.facts.get(KEPT_TITLES, {})
    return folders


def kept_batches(release: Pinned) -> dict[str, Manifest]:
    """Returns the batches of titles that a release keeps from earlier champions, by day.

    Leaves out damaged batches. The release cannot make them again, because it only uses its own model. So
    this model predicts new titles for the days of these batches.
    """
    folders = kept_titles(release.plan)
    if folders:
        damaged = damaged_batches(release.lake)
        folders = {day: folder for day, folder in folders.items() if folder not in damaged}
    of_base: dict[str, Manifest] = {}
    if folders and release.base and TITLE_PREDICTIONS.name in release.base.members:
        of_base = {batch.folder: batch for batch in release.base.members[TITLE_PREDICTIONS.name]}
    return {day: of_base.get(folder) or release.lake.manifest(folder) for day, folder in folders.items()}


def kept_titles_facts(
    current: Pinned | None, model: str, days: Iterable[PinnedDay], retitle_days: int
) -> dict[str, Any]:
    """Returns the entry `kept_titles` for the plan of a new release, or an empty dict if the release keeps no
    titles.

    `current` is the current release, and `model` is the model of the new release. A day keeps the titles of
    the current release under three conditions: it is before the last `retitle_days` days, its issues are the
    same as in the current release, and its titles are not by `model`. Titles of a model that did not beat the
    floor (the body's first words) are never kept, even if a person accepted them. They were accepted only
    because there were no better ones.
    """
    days = list(days)
    if current is None or not retitle_days or not days:
        return {}
    first_retitled = (date.fromisoformat(days[-1].day) - timedelta(days=retitle_days - 1)).isoformat()
    facts, kept_before = current.facts, kept_titles(current.plan)
    issues = {day.day: day.issues for day in current.plan.days}
    folders = dict(zip(issues, current.members.folders(TITLE_PREDICTIONS.name), strict=False))
    own_are_poor = WITHHELD in facts or ACCEPTED in facts
    kept_folders = {}
    for day in days:
        folder = folders.get(day.day)
        if folder is None or day.day >= first_retitled or issues[day.day] != day.issues:
            continue
        if _model_of(folder) != model and (day.day in kept_before or not own_are_poor):
            kept_folders[day.day] = folder
    return {KEPT_TITLES: kept_folders} if kept_folders else {}


def _model_of(folder: str) -> str:
    """Returns the name of the model that wrote a batch of titles. The name is a part of `folder`, the batch's
    path."""
    return folder.split("/model=", 1)[1].split("/", 1)[0]
