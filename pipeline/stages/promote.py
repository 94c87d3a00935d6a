"""promote: makes a model the champion, unless it is worse than the one there is."""

from __future__ import annotations

from typing import Any

from pipeline.errors import FINAL, TitlerError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.settings import Model, Settings
from pipeline.stages.evaluate import EVALUATION
from pipeline.stages.train import PREDICTOR, tracking_of


class WorseError(TitlerError):
    """A challenger that is worse than the champion on the same issues."""

    exit_code = FINAL


def run(lake: Lake, settings: Settings, model: Pinned, *, force_because: str = "") -> dict[str, Any]:
    """Moves MLflow's alias `champion` to the model, and `previous` to the former champion.

    Raises UsageError for a model that was not trained and evaluated, WorseError where on the same validation issues its ROUGE-L is
    more than `model.promotion_margin` under the champion's, or its R@10 more than `model.promotion_retrieval_margin`;
    `force_because` promotes all the same and is recorded.
    """
    manifest = model.members(PREDICTOR, "train")[0]
    figures = model.noted(EVALUATION)
    if figures is None:
        raise UsageError(
            f"{model.name} was not evaluated.", f"Evaluate it first: titler evaluate {model.name}"
        )
    tracking = tracking_of(settings, lake)
    champion = tracking.champion()
    if champion is not None and champion.model == model.name:
        return {"model": model.name, "version": champion.version, "moved": False}
    if champion is not None and not force_because:
        if figures["champion"] != champion.model:
            raise UsageError(
                f"{model.name} was held against {figures['champion'] or 'no champion'}, but the champion is now {champion.model}.",
                f"Evaluate it again: titler evaluate {model.name}",
            )
        if "retrieval" not in figures:
            raise UsageError(
                f"{model.name} was evaluated by an earlier Titler, which did not measure retrieval.",
                f"Evaluate it again: titler evaluate {model.name}",
            )
        if worse := _worse(figures, settings.model):
            raise WorseError(
                f"{model.name} is worse than the champion {champion.model}: {'; '.join(worse)}.",
                f'Promote it all the same: titler promote {model.name} --force --because "..."',
            )
    version = tracking.promote(model.name, because=force_because)
    return {"model": model.name, "version": version, "moved": True, "run": manifest.figures["mlflow_run"]}


def _worse(figures: dict[str, Any], allowed: Model) -> list[str]:
    """What is worse than the champion's by more than is allowed: each figure with its setting."""
    near = figures["retrieval"]
    found = []
    if figures["rougeL"] < figures["champion_rougeL"] - allowed.promotion_margin:
        found.append(
            f"ROUGE-L {figures['rougeL']:.2f} on {figures['issues']} validation issues, where it has "
            f"{figures['champion_rougeL']:.2f} and {allowed.promotion_margin} less is allowed (model.promotion_margin)"
        )
    if near["recall_at_10"] < near["champion_recall_at_10"] - allowed.promotion_retrieval_margin:
        found.append(
            f"R@10 {near['recall_at_10']:.3f} among {near['issues']} validation issues, where it has "
            f"{near['champion_recall_at_10']:.3f} and {allowed.promotion_retrieval_margin} less is allowed "
            f"(model.promotion_retrieval_margin)"
        )
    return found
