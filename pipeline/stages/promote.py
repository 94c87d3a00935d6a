"""Stage `promote`: makes a model the champion, unless it is worse than the current champion.

Releases use the champion. If its titles do not score higher than the first words of the bodies, releases
withhold the titles until somebody accepts them.
"""

from __future__ import annotations

from typing import Any

from pipeline.contracts import PREDICTOR
from pipeline.errors import ExitCode, TitlerError, UsageError
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.releases.withheld_titles import TitleGate, floor_shortfall, store_gate, stored_gate
from pipeline.settings import Model, Settings
from pipeline.tracking import Tracking, open_tracking


class WorseError(TitlerError):
    """Raised if a model is not promoted because it scores worse than the champion on the same issues."""

    exit_code = ExitCode.DECISION_NEEDED


def run(
    lake: Lake, settings: Settings, model: Pinned, *, force_because: str = "", accept_because: str = ""
) -> dict[str, Any]:
    """Makes `model` the champion: moves MLflow's alias `champion` to it, and the alias `previous` to the
    former champion.

    Returns the model's name and version, and whether the alias was moved. If the titles do not beat the floor
    (the body's first words), the result also has the entries of `TitleGate.facts`. They say whether the
    titles are withheld or were accepted.

    - `accept_because`: a reason to show the titles although they do not beat the floor by
      `model.floor_margin`. Without a reason, releases withhold such titles, unless they were accepted before.
    - `force_because`: a reason to promote the model even if it is worse than the champion or was not compared
      with it.

    If the model is already the champion, the alias is not moved. Then the function only decides whether the
    model's titles are shown. Raises UsageError if the model was not trained or not evaluated. Without
    `force_because`, raises UsageError if the model was not compared with the current champion, and WorseError
    if it is worse than the champion on the same held-out issues. A model is worse in any of these cases:

    - Its ROUGE-L is lower by more than `model.promotion_margin`.
    - Its recall@10 is lower by more than `model.promotion_retrieval_margin`.
    - Its titles would be withheld, but the champion's titles beat the floor.
    """
    manifest = model.members[PREDICTOR][0]
    figures = model.notes[EVALUATION]
    evaluate_again = f"Run first: titler evaluate {model.name}"
    if figures is None:
        raise UsageError(f"{model.name} was not evaluated.", evaluate_again)
    tracking, run_id = open_tracking(settings, lake), manifest.figures["mlflow_run"]
    champion = tracking.champion()
    earlier = stored_gate(lake, model.name)
    gate = TitleGate(
        floor_shortfall(figures, settings.model.floor_margin), earlier.accepted if earlier else None
    )
    if accept_because:
        gate = gate.accept(accept_because)
    if champion is not None and champion.model == model.name:
        _tag(tracking, champion.version, run_id, gate, earlier)
        if gate != earlier:
            store_gate(lake, model.name, gate)
        return {"model": model.name, "version": champion.version, "moved": False, **gate.facts}
    if champion is not None and not force_because:
        _check_comparison(model.name, figures, champion.model, evaluate_again)
        former = stored_gate(lake, champion.model) or TitleGate(
            _champion_shortfall(figures, settings.model.floor_margin)
        )
        _check_not_worse(model.name, figures, champion.model, settings.model, gate, former)
    store_gate(lake, model.name, gate)
    version = tracking.promote(model.name, because=force_because)
    _tag(tracking, version, run_id, gate, earlier)
    return {"model": model.name, "version": version, "moved": True, "run": run_id, **gate.facts}


def _check_comparison(model: str, figures: dict[str, Any], champion: str, evaluate_again: str) -> None:
    """Raises UsageError if the model was not compared with the current champion. `figures` are the figures of
    its evaluation, which must include titles and retrieval."""
    if figures["champion"] != champion:
        raise UsageError(
            f"{model} was compared with {figures['champion'] or 'no champion'}, "
            f"but the champion is now {champion}.",
            evaluate_again,
        )
    if "retrieval" not in figures:
        raise UsageError(
            f"{model} was evaluated by an older version of Titler, which did not measure retrieval.",
            evaluate_again,
        )


def _check_not_worse(
    model: str, figures: dict[str, Any], champion: str, allowed: Model, gate: TitleGate, former: TitleGate
) -> None:
    """Raises WorseError if the model is worse than the champion. `figures` are the figures of the model's
    evaluation. `gate` is the decision whether the model's titles are shown or withheld. `former` is this
    decision for the champion's titles."""
    failures = _failed_margins(figures, allowed)
    if gate.withheld and not former.shortfall:
        failures.append(
            f"its titles would be withheld ({gate.withheld}), but the champion's titles are shown"
        )
    if failures:
        raise WorseError(
            f"{model} is worse than the champion {champion}: {'; '.join(failures)}.",
            f'To promote the model anyway: titler promote {model} --force --because "..."',
        )


def _champion_shortfall(figures: dict[str, Any], margin: float) -> str:
    """Returns an empty string if the champion's titles beat the floor (the body's first words). Otherwise
    returns a text with the scores of the titles and of the floor.

    Both scores are among `figures`, the figures of the challenger's evaluation. The function is needed if an
    earlier version of Titler promoted the champion and stored no decision about its titles.
    """
    return floor_shortfall({**figures, "rougeL": figures["champion_rougeL"]}, margin)


def _tag(tracking: Tracking, version: str, run_id: str, gate: TitleGate, earlier: TitleGate | None) -> None:
    """Tags the model version in MLflow to show whether its titles are withheld or were accepted.

    The tags change only if the titles do not beat the floor (the body's first words), or did not beat it
    according to `earlier`, the decision that was stored before.
    """
    if gate.facts or (earlier and earlier.facts):
        because = gate.accepted["because"] if gate.facts and gate.accepted else ""
        tracking.tag_titles(version, run_id, gate.withheld, because)


def _failed_margins(figures: dict[str, Any], allowed: Model) -> list[str]:
    """Compares a model's figures with the champion's. Returns one message for each figure that is lower than
    the champion's by more than a setting allows."""
    near = figures["retrieval"]
    failures = []
    if figures["rougeL"] < figures["champion_rougeL"] - allowed.promotion_margin:
        failures.append(
            f"ROUGE-L on {figures['issues']} held-out issues is {figures['rougeL']:.2f}, the champion's is "
            f"{figures['champion_rougeL']:.2f}, and a drop of at most {allowed.promotion_margin} is allowed "
            "(model.promotion_margin)"
        )
    if near["recall_at_10"] < near["champion_recall_at_10"] - allowed.promotion_retrieval_margin:
        failures.append(
            f"recall@10 among {near['issues']} held-out issues is {near['recall_at_10']:.3f}, the champion's "
            f"is {near['champion_recall_at_10']:.3f}, and a drop of at most "
            f"{allowed.promotion_retrieval_margin} is allowed (model.promotion_retrieval_margin)"
        )
    return failures
