"""plan: opens a release. The only stage that asks what is current and who is champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import warehouse
from pipeline.contracts import ISSUES, SOURCE_HEALTH
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned, PinnedDay, Plan, pin
from pipeline.networks.shape import NEAR_DUPLICATES
from pipeline.releases.release import published
from pipeline.settings import Settings
from pipeline.stages.extract import judge_again
from pipeline.stages.publish import settled
from pipeline.stages.train import PREDICTOR, tracking_of


@dataclass(frozen=True)
class Planned:
    """The plan, or the reason why none was opened.

    `kept` are days that are being ingested again and enter as the current release has them; `left_out` are new days that are not
    cleaned yet; `judged` are days whose verdict, or what is usual, is another one since earlier days came.
    """

    plan: Plan | None
    reason: str
    kept: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()


def run(lake: Lake, settings: Settings, release: Pinned) -> Planned:
    """Opens `release`: pins the champion, its vocabulary and the batches of every cleaned day.

    With no champion yet, or nothing new since the current release or one that was rolled back, it opens none and says why.
    """
    with warehouse.connect(settings, "plan").alone():
        return _open(lake, settings, release)


def _open(lake: Lake, settings: Settings, release: Pinned) -> Planned:
    if release.is_open():
        _name_members(release)
        return Planned(release.plan(), "it was opened before")
    champion = tracking_of(settings, lake).champion()
    if champion is None:
        return Planned(None, "no model is champion yet: titler train, then titler promote")
    now = settled(lake, settings)
    before = Pinned(lake, "releases", now).plan() if now else None
    judged = judge_again(lake)
    days, kept, left_out = _days(lake, before)
    if not days:
        return Planned(
            None, "no day is cleaned yet: titler extract, then titler clean", kept, left_out, judged
        )

    predictor = Pinned(lake, "models", champion.model).members(PREDICTOR, "train")[0]
    facts: dict[str, Any] = {
        "model": champion.model,
        "model_version": champion.version,
        "mlflow_run": champion.run_id,
        "vocabulary": predictor.figures["vocabulary"],
        "predictor": predictor.folder,
        "predictor_digest": predictor.digest,
        "neighbours": settings.index.neighbours,
        "near_duplicate_distance": settings.index.near_duplicate_distance
        or NEAR_DUPLICATES[predictor.figures["variant"]],
    }
    if before is not None and _same(before, facts, days):
        return Planned(None, f"nothing is new since release {now}", kept, left_out, judged)
    for found in published(lake, settings):
        if found.get("rolled_back") and _same(
            Pinned(lake, "releases", found["release_id"]).plan(), facts, days
        ):
            return Planned(
                None,
                f"nothing is new since release {found['release_id']}, which was rolled back",
                kept,
                left_out,
                judged,
            )
    release.open(days, facts)
    _name_members(release)
    return Planned(release.plan(), "", kept, left_out, judged)


def _days(lake: Lake, before: Plan | None) -> tuple[list[PinnedDay], tuple[str, ...], tuple[str, ...]]:
    """The days to pin, those of them that are pinned as the release before has them, and those that are not ready."""
    there = {day.day: day for day in before.days} if before else {}
    days, kept, left_out = [], [], []
    for day in sorted({*lake.days(ISSUES.name), *there}):
        try:
            days += pin(lake, [day])
        except UsageError:
            if day in there:
                days.append(there[day])
                kept.append(day)
            else:
                left_out.append(day)
    return days, tuple(kept), tuple(left_out)


def _same(plan: Plan, facts: dict[str, Any], days: Sequence[PinnedDay]) -> bool:
    return plan.facts == facts and [day.content for day in plan.days] == [day.content for day in days]


def _name_members(release: Pinned) -> None:
    days = release.plan().days
    release.set_members(ISSUES.name, [release.lake.manifest(day.issues) for day in days])
    release.set_members(SOURCE_HEALTH.name, [release.lake.manifest(day.health) for day in days])
