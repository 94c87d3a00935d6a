"""plan: opens a release. The only stage that asks what is current and who is champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.contracts import ISSUES, SOURCE_HEALTH, TOKENS
from pipeline.errors import UsageError
from pipeline.lake import Lake
from pipeline.pins import Pinned, PinnedDay, Plan, pin
from pipeline.release import current
from pipeline.settings import Settings
from pipeline.stages.train import PREDICTOR, tracking_of


@dataclass(frozen=True)
class Planned:
    """The plan, or the reason why none was opened; `left_out` are days with issues that are not cleaned yet."""

    plan: Plan | None
    reason: str
    left_out: tuple[str, ...]


def run(lake: Lake, settings: Settings, release: Pinned) -> Planned:
    """Opens `release`: pins the champion, its vocabulary and the batches of every cleaned day.

    With nothing new since the current release, or no champion yet, it opens none and says why.
    """
    if release.is_open():
        return Planned(release.plan(), "it was opened before", ())
    champion = tracking_of(settings, lake).champion()
    if champion is None:
        return Planned(None, "no model is champion yet: titler train, then titler promote", ())
    cleaned = set(lake.days(TOKENS.name))
    days, left_out = [], []
    for day in lake.days(ISSUES.name):
        try:
            days += pin(lake, [day]) if day in cleaned else []
        except UsageError:
            cleaned.discard(day)
        if day not in cleaned:
            left_out.append(day)
    if not days:
        return Planned(None, "no day is cleaned yet: titler extract, then titler clean", tuple(left_out))

    model = Pinned(lake, "models", champion.model)
    predictor = model.members(PREDICTOR, "train")[0]
    facts: dict[str, Any] = {
        "model": champion.model,
        "model_version": champion.version,
        "mlflow_run": champion.run_id,
        "vocabulary": predictor.figures["vocabulary"],
        "predictor": predictor.folder,
        "predictor_digest": predictor.digest,
        "settings": {"neighbours": settings.index.neighbours, "near_duplicate_distance": settings.index.near_duplicate_distance},
    }
    now = current(lake)
    if now is not None:
        before = Pinned(lake, "releases", now).plan()
        if before.facts == facts and _content(before.days) == _content(days):
            return Planned(None, f"nothing is new since release {now}", tuple(left_out))
    plan = release.open(days, facts)
    release.set_members(ISSUES.name, [release.issues(day) for day in plan.days])
    health = (lake.current(SOURCE_HEALTH.name, {"day": day.day}) for day in plan.days)
    release.set_members(SOURCE_HEALTH.name, [manifest for manifest in health if manifest is not None])
    return Planned(plan, "", tuple(left_out))


def _content(days: Sequence[PinnedDay]) -> list[tuple[str, str, str]]:
    return [(day.day, day.issues_digest, day.tokens_digest) for day in days]
