"""Notices that MLflow's database was lost: deleted, or replaced by an older one.

MLflow stores which model is the champion. If there were no champion any more, the lake would look like a new
lake, so the nightly run would do nothing. If an older model were champion, the nightly run would predict the
titles of all issues again. The plan of the current release says which model and version MLflow must know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import LakeError
from pipeline.lake.pinned import Pinned
from pipeline.tracking import Tracking, Version


def known_champion(tracking: Tracking, current: Pinned | None) -> Version | None:
    """Returns the champion, or None before the first promotion. `current` is the current release, or None.

    Raises LakeError if MLflow's database must have been lost. This is so in two cases. Either MLflow has no
    champion, although a release is published. Or MLflow does not know the model of the current release, and
    the champion is an earlier model.
    """
    champion = tracking.champion()
    if current is None or not current.is_open():
        return champion
    facts = current.facts
    if champion is None:
        raise _lost(tracking, current, facts, "has no champion")
    if champion.model == facts["model"] or not _is_earlier(current, champion.model, facts["model"]):
        return champion
    if tracking.version_of(facts["model"]) is None:
        difference = (
            f"has the champion {champion.model}, version {champion.version}, and no model {facts['model']}"
        )
        raise _lost(tracking, current, facts, difference)
    return champion


def _lost(tracking: Tracking, current: Pinned, facts: Mapping[str, Any], difference: str) -> LakeError:
    model, day = facts["model"], current.plan.days[-1].day
    return LakeError(
        f"MLflow at {tracking.uri} {difference}, but release {current.name} was made with the model "
        f"{model}, version {facts['model_version']}. So MLflow's database was deleted, or replaced by an "
        "older one.",
        "Restore the database from a backup. If there is no backup, MLflow's records of trainings are lost. "
        f"Then train another model: titler run --retrain --from {day} --to {day}\n"
        "If somebody deleted the model on purpose, go back to a release of an earlier champion: "
        "titler rollback RELEASE",
        final=True,
    )


def _is_earlier(release: Pinned, earlier: str, later: str) -> bool:
    """Returns whether the model `earlier` was created before the model `later`. A model that is not in the
    lake any more counts as created before all models in the lake."""
    models = [Pinned(release.lake, "models", name) for name in (earlier, later)]
    opened = [model.opened_at if model.is_open() else "" for model in models]
    return opened[0] < opened[1]
