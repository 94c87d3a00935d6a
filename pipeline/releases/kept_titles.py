"""Decides which days of a new release keep the titles of an earlier champion.

After a promotion, all titles could be predicted again with the new champion. The setting
`release.retitle_days` limits this to the last days. An earlier day then keeps the batch of the current
release. The plan of the new release names these batches, so a rerun gives the same release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from pipeline.contracts import TITLE_PREDICTIONS
from pipeline.lake.pinned import Pinned, PinnedDay, Plan
from pipeline.releases.withheld_titles import ACCEPTED, WITHHELD

KEPT_TITLES = "kept_titles"
"""The fact in the plan of a release that maps days to batches of titles of earlier champions."""


def kept_titles(plan: Plan) -> Mapping[str, str]:
    """Returns the folders of the batches of titles that a release keeps, by day (YYYY-MM-DD)."""
    folders: Mapping[str, str] = plan.facts.get(KEPT_TITLES, {})
    return folders


def kept_titles_facts(
    current: Pinned | None, model: str, days: Iterable[PinnedDay], retitle_days: int
) -> dict[str, Any]:
    """Returns the fact about kept titles for the plan of a new release; nothing if it keeps none.

    `current` is the current release, and `model` the model of the new release. A day keeps the titles of the
    current release if it is before the last `retitle_days` days, and if its issues are the same as in the
    current release. Titles that did not beat the floor are not kept, even if a person accepted them: that
    decision was about a release that has no better ones.
    """
    days = list(days)
    if current is None or not retitle_days or not days:
        return {}
    first_retitled = (date.fromisoformat(days[-1].day) - timedelta(days=retitle_days - 1)).isoformat()
    facts, kept_before = current.plan.facts, kept_titles(current.plan)
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
    """Returns the model of a batch of titles, which is a part of its folder's path."""
    return folder.split("/model=", 1)[1].split("/", 1)[0]
