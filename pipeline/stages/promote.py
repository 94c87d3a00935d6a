"""Stage `promote`: makes a model the champion, unless it is worse than the current champion."""

from __future__ import annotations

from typing import Any

from pipeline.contracts import PREDICTOR
from pipeline.errors import ExitCode, TitlerError, UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.settings import Model, Settings
from pipeline.stages.evaluate import EVALUATION
from pipeline.tracking import open_tracking


class WorseError(TitlerError):
    """A model was not promoted, because it is worse than the champion on the same issues."""

    exit_code = ExitCode.DECISION_NEEDED


def run(lake: Lake, settings: Settings, model: Pinned, *, force_because: str = "") -> dict[str, Any]:
    """Moves MLflow's alias `champion` to the model, and the alias `previous` to the former champion.

    Returns the model's name and version, and whether the alias was moved. Raises UsageError for a model that
    was not trained and evaluated. Raises WorseError if, on the same held-out issues, its ROUGE-L is more than
    `model.promotion_margin` below the champion's, or its recall@10 more than
    `model.promotion_retrieval_margin` below. If `force_because` is not empty, the model is promoted anyway,
    and the text is recorded as the reason.
    """
    manifest = model.members[PREDICTOR][0]
    figures = model.notes[EVALUATION]
    evaluate_again = f"Run first: titler evaluate {model.name}"
    if figures is None:
        raise UsageError(f"{model.name} was not evaluated.", evaluate_again)
    tracking = open_tracking(settings, lake)
    champion = tracking.champion()
    if champion is not None and champion.model == model.name:
        return {"model": model.name, "version": champion.version, "moved": False}
    if champion is not None and not force_because:
        if figures["champion"] != champion.model:
            raise UsageError(
                f"{model.name} was compared with {figures['champion'] or 'no champion'}, "
                f"but the champion is now {champion.model}.",
                evaluate_again,
            )
        if "retrieval" not in figures:
            raise UsageError(
                f"{model.name} was evaluated by an older version of Titler, which did not measure retrieval.",
                evaluate_again,
            )
        if failures := _failed_margins(figures, settings.model):
            raise WorseError(
                f"{model.name} is worse than the champion {champion.model}: {'; '.join(failures)}.",
                f'To promote it anyway: titler promote {model.name} --force --because "..."',
            )
    version = tracking.promote(model.name, because=force_because)
    return {"model": model.name, "version": version, "moved": True, "run": manifest.figures["mlflow_run"]}


def _failed_margins(figures: dict[str, Any], allowed: Model) -> list[str]:
    """Returns one message per figure that is further below the champion's than its setting allows."""
    near = figures["retrieval"]
    failures = []
    if figures["rougeL"] < figures["champion_rougeL"] - allowed.promotion_margin:
        failures.append(
            f"ROUGE-L on {figures['issues']} held-out issues is {figures['rougeL']:.2f}, the champion's is "
            f"{figures['champion_rougeL']:.2f}, and at most {allowed.promotion_margin} less is allowed "
            "(model.promotion_margin)"
        )
    if near["recall_at_10"] < near["champion_recall_at_10"] - allowed.promotion_retrieval_margin:
        failures.append(
            f"recall@10 among {near['issues']} held-out issues is {near['recall_at_10']:.3f}, the champion's "
            f"is {near['champion_recall_at_10']:.3f}, and at most {allowed.promotion_retrieval_margin} less "
            "is allowed (model.promotion_retrieval_margin)"
        )
    return failures
