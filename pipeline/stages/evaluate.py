"""Stage `evaluate`: compares a model's titles with the titles that authors wrote.

The issues are the model's held-out issues (those that it did not learn from), or the issues in a user's file.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.contracts import PREDICTOR
from pipeline.errors import UsageError
from pipeline.evaluation.model_figures import EVALUATION
from pipeline.evaluation.retrieval import Ranks, embedding_ranks, score_ranks, tfidf_ranks
from pipeline.evaluation.title_confidence import ROUGE_THRESHOLD, confidence_bins, score_confidence
from pipeline.evaluation.title_scores import score_titles
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.predictor.held_out import (
    HeldOutIssue,
    HeldOutPredictions,
    embed_queries,
    held_out_issues,
    predict_held_out,
)
from pipeline.predictor.loading import load_predictor
from pipeline.predictor.predictor import Model
from pipeline.settings import Settings
from pipeline.source.issue_files import read_pairs
from pipeline.text.engine import tokenizer
from pipeline.tracking import Tracking, open_tracking
from pipeline.usage import peak_mib

RETRIEVAL_ISSUES = 10_000
"""Maximum number of issues on which retrieval is measured. If more are held out, a sample with a fixed seed
is used. Recall falls as the number of candidates rises. So the limit also makes the figures of large data
sets comparable."""


@dataclass(frozen=True)
class HeldOutSet:
    """The issues on which a model is evaluated. The model did not learn from them."""

    issues: Sequence[HeldOutIssue]

    @property
    def references(self) -> list[str]:
        """The titles that the authors wrote, in lower case. Predicted titles are compared with them."""
        return [issue.title.lower() for issue in self.issues]

    @property
    def bodies(self) -> list[str]:
        """The bodies as their authors wrote them, not cleaned."""
        return [issue.body for issue in self.issues]

    @property
    def retrieval_rows(self) -> npt.NDArray[np.int64]:
        """The row numbers of the issues on which retrieval (finding a body by its title) is measured."""
        return sample_rows(len(self.issues))

    def ranks(self, predictor: Model, predictions: HeldOutPredictions) -> Ranks:
        """Returns a rank for each issue on which retrieval (finding a body by its title) is measured. To get
        the rank, the bodies of all these issues are sorted by the similarity of their embeddings to the
        embedding of the issue's title. The rank is the position of the issue's own body, counted from 1."""
        rows = self.retrieval_rows
        queries = embed_queries(predictor, [self.issues[row].title for row in rows])
        return embedding_ranks(queries, predictions.embeddings[rows])

    def lexical_floor(self, predictor: Model) -> dict[str, float]:
        """Measures how well TF-IDF, a baseline that needs no training, finds bodies by their titles. Returns
        the figures. Their names start with `floor_`.

        The predictor's text engine splits titles and bodies into tokens.
        """
        tokens, issues = tokenizer(predictor.engine), [self.issues[row] for row in self.retrieval_rows]
        ranks = tfidf_ranks(
            tokens([issue.title for issue in issues]), tokens([issue.body for issue in issues])
        )
        return {f"floor_{name}": value for name, value in asdict(score_ranks(ranks)).items()}


def run(lake: Lake, settings: Settings, model: Pinned) -> dict[str, Any]:
    """Evaluates `model` on its held-out issues. Returns the measured figures, and some sample titles.

    On the same issues, the function also measures the champion, if that is another model, and two baselines
    that need no training: the body's first words as a title, and TF-IDF for retrieval. All figures are stored
    with the model and logged to MLflow. Raises UsageError if the model was not trained.
    """
    started = time.perf_counter()
    manifest = model.members[PREDICTOR][0]
    held_out = HeldOutSet(list(held_out_issues(lake, model)))
    predictor = load_predictor(lake, manifest.folder)
    predicting = time.perf_counter()
    predictions = predict_held_out(predictor, held_out.bodies)
    rate = len(held_out.issues) / (time.perf_counter() - predicting)

    figures: dict[str, Any] = asdict(score_titles(predictions.titles, held_out.references))
    leads = asdict(score_titles([issue.lead for issue in held_out.issues], held_out.references))
    figures |= {f"lead_{name}": value for name, value in leads.items() if name.startswith("rouge")}
    near = asdict(score_ranks(held_out.ranks(predictor, predictions))) | held_out.lexical_floor(predictor)
    near["issues"] = len(held_out.retrieval_rows)
    tracking = open_tracking(settings, lake)
    figures["champion"] = None
    figures |= _champion_figures(lake, tracking, model, held_out, near)
    confidences, rouge = predictions.confidences_and_rouge(held_out.references)
    figures |= {"retrieval": near, "confidence": _confidence_figures(predictor, confidences, rouge)}
    if calibration := manifest.figures.get("calibration"):
        figures["probability"] = calibration | _abstention_figures(
            predictor, confidences, rouge, len(held_out.issues)
        )
    model.notes[EVALUATION] = figures

    usage = {
        "evaluate_seconds": time.perf_counter() - started,
        "evaluate_issues_a_second": rate,
        "evaluate_peak_mib": peak_mib(),
    }
    samples = [
        {"url": issue.url, "title": issue.title, "predicted": title, "confidence": float(confidence)}
        for issue, title, confidence in zip(
            held_out.issues, predictions.titles, predictions.confidences, strict=True
        )
    ][: settings.model.sample_titles]
    bins = [asdict(confidence_bin) for confidence_bin in confidence_bins(confidences, rouge)]
    _log_evaluation(tracking, manifest.figures["mlflow_run"], figures, usage, bins, samples)
    return {**figures, "samples": samples}


def _champion_figures(
    lake: Lake, tracking: Tracking, model: Pinned, held_out: HeldOutSet, near: dict[str, Any]
) -> dict[str, Any]:
    """Measures the champion on the issues `held_out`. Returns the champion's name and the ROUGE-L of its
    titles. Adds its recall@10 to `near`, the dict of figures about retrieval.

    If there is no champion, or if `model` is the champion itself, the function measures nothing. It returns
    an empty dict and does not change `near`.
    """
    champion = tracking.champion()
    if champion is None or champion.model == model.name:
        return {}
    folder = Pinned(lake, "models", champion.model).members[PREDICTOR][0].folder
    predictor = load_predictor(lake, folder)
    predictions = predict_held_out(predictor, held_out.bodies)
    near["champion_recall_at_10"] = score_ranks(held_out.ranks(predictor, predictions)).recall_at_10
    rouge = score_titles(predictions.titles, held_out.references).rougeL
    return {"champion": champion.model, "champion_rougeL": rouge}


def _confidence_figures(
    predictor: Model, confidences: npt.NDArray[np.float64], rouge: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """Returns figures that say how well the model's confidence predicts whether a title is good. Returns an
    empty dict if the model wrote no title.

    A title is good if its ROUGE-L is above ROUGE_THRESHOLD. The figure `alike_given` is the share of good
    titles among the titles with a confidence of at least `abstain_below`. It is None if there are no such
    titles.
    """
    if not len(confidences):
        return {}
    accepted_rouge = rouge[confidences >= predictor.abstain_below]
    share = float((accepted_rouge > ROUGE_THRESHOLD).mean()) if len(accepted_rouge) else None
    return {
        **asdict(score_confidence(confidences, rouge)),
        "abstain_below": predictor.abstain_below,
        "alike_given": share,
    }


def _abstention_figures(
    predictor: Model, confidences: npt.NDArray[np.float64], rouge: npt.NDArray[np.float64], issues: int
) -> dict[str, Any]:
    """Returns figures that say how often the model abstains (gives no title), and how good its titles are
    when it does not.

    The figures `alike_given` and `rougeL_given` measure the given titles. They are None if the model gives no
    title. The other title scores of an evaluation, such as `rougeL`, also include titles that the model would
    not give. So models with different settings for abstaining can be compared.
    """
    is_shown = confidences >= predictor.abstain_below
    if predictor.calibration is not None:
        is_shown &= predictor.calibration(confidences) >= predictor.abstain_probability
    any_shown = bool(is_shown.any())
    return {
        "abstain_probability": predictor.abstain_probability,
        "abstained": 1 - float(is_shown.sum()) / issues,
        "alike_given": float((rouge[is_shown] > ROUGE_THRESHOLD).mean()) if any_shown else None,
        "rougeL_given": float(rouge[is_shown].mean()) if any_shown else None,
    }


def _log_evaluation(
    tracking: Tracking,
    run_id: str,
    figures: dict[str, Any],
    usage: dict[str, float],
    bins: list[dict[str, Any]],
    samples: list[dict[str, Any]],
) -> None:
    """Logs the figures of an evaluation to the model's run in MLflow, and updates the model's description
    there."""
    groups: dict[str, dict[str, Any]] = {
        "titles": {name.replace("lead_", "floor_"): value for name, value in figures.items()},
        "retrieval": figures["retrieval"],
        "titles_confidence": figures[
            "confidence"
        ],  # MLflow sorts groups by name: this name puts the group after `titles`
        "titles_probability": figures.get("probability", {}),
        "usage": usage,
    }
    metrics = {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}
    run = tracking.run(run_id)
    run.log_metrics({name: value for name, value in metrics.items() if isinstance(value, int | float)})
    run.log_table("confidence.json", bins)
    run.log_confidence_figure(bins)
    if curve := figures.get("probability", {}).get("curve"):
        run.log_table("reliability.json", curve)
        run.log_reliability_figure(curve)
    run.log_table("sample_titles.json", samples)
    tracking.write_card(run_id)


def sample_rows(count: int) -> npt.NDArray[np.int64]:
    """Returns the row numbers of the issues on which retrieval is measured, in ascending order. `count` is
    the number of held-out issues. If it is at most RETRIEVAL_ISSUES, all of them are used. Otherwise
    RETRIEVAL_ISSUES of them are drawn at random, but always the same ones for the same `count`."""
    if count <= RETRIEVAL_ISSUES:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, RETRIEVAL_ISSUES, replace=False))


def champion_name(lake: Lake, settings: Settings) -> str:
    """Returns the name of the champion, the model that releases use. Raises UsageError if no model is
    champion."""
    champion = open_tracking(settings, lake).champion()
    if champion is None:
        raise UsageError(
            "No model is champion yet.", "Train a model. Then make it the champion: titler promote MODEL"
        )
    return champion.model


def evaluate_file(lake: Lake, settings: Settings, path: Path, name: str | None = None) -> dict[str, Any]:
    """Compares the titles that a model writes for the bodies of a file with the titles in the file.

    Returns the title scores, and the model's name as `model`. `name` is the name of the model; None means the
    champion. The scores include titles that the model would not give because the probability that they are
    good is below `abstain_probability`. If the model has a calibration (which computes this probability), the
    result also has the figure `abstained_unsure`: the share (0 to 1) of bodies for which the model gives no
    title, for any of the reasons that `Titles` lists.

    Raises UsageError if the file cannot be read as issues, if the model was not trained, or if no model is
    champion.
    """
    pairs = list(read_pairs(path))
    name = name or champion_name(lake, settings)
    manifest = Pinned(lake, "models", name).members[PREDICTOR][0]
    predictor = load_predictor(lake, manifest.folder)
    # Every title counts, whatever its probability, as on the held-out issues.
    predictions = dataclasses.replace(predictor, abstain_probability=0.0).predict([body for _, body in pairs])
    titles = [prediction.title for prediction in predictions]
    figures = {**asdict(score_titles(titles, [title.lower() for title, _ in pairs])), "model": name}
    if predictor.calibration is not None:
        unsure = sum(
            prediction.abstained or (prediction.probability or 0.0) < predictor.abstain_probability
            for prediction in predictions
        )
        figures["abstained_unsure"] = unsure / len(predictions)
    return figures
