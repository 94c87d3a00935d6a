"""evaluate: a model's titles on its validation issues against the titles their authors wrote; or any file of titles and bodies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import memory
from pipeline.errors import UsageError
from pipeline.evaluation.calibration import ALIKE, bins, confidence
from pipeline.evaluation.retrieval import Ranks, lexical_ranks, own_ranks, retrieval
from pipeline.evaluation.title_scores import score
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.predictor.predictor import Predictor
from pipeline.settings import Settings
from pipeline.source.issue_files import read_pairs
from pipeline.stages.embed import load_predictor
from pipeline.stages.train import PREDICTOR, tracking_of
from pipeline.stages.validation import Answers, Example, answers, asked, validation
from pipeline.text.engine import tokenizer

EVALUATION = "evaluation"


RETRIEVAL_ISSUES = 10_000
"""Issues that retrieval is measured on: where more validate, so many of them, drawn with a fixed seed. Figures among more
candidates are lower, so that a cap also keeps the figures of large months alike."""


def run(lake: Lake, settings: Settings, model: Pinned) -> dict[str, Any]:
    """Figures of the model, of the floors and of the champion on the same issues; kept with the model and in MLflow.

    Raises UsageError where the model was not trained.
    """
    began = time.perf_counter()
    manifest = model.members(PREDICTOR, "train")[0]
    examples = list(validation(lake, model))
    references = [example.title.lower() for example in examples]
    bodies = [example.body for example in examples]
    rows = drawn(len(examples))

    predictor = load_predictor(lake, manifest.folder)
    starts = time.perf_counter()
    own = answers(predictor, bodies)
    rate = len(bodies) / (time.perf_counter() - starts)
    figures: dict[str, Any] = asdict(score(own.given, references))
    leads = asdict(score([example.lead for example in examples], references))
    figures |= {f"lead_{name}": value for name, value in leads.items() if name.startswith("rouge")}
    near = (
        asdict(retrieval(_ranks(predictor, examples, own, rows)))
        | _floor(predictor, examples, rows)
        | {"issues": len(rows)}
    )
    confidences, rouge = own.told(references)
    sure = _sure(predictor, confidences, rouge)

    tracking = tracking_of(settings, lake)
    best = tracking.champion()
    figures["champion"] = None
    if best is not None and best.model != model.name:
        other = load_predictor(lake, Pinned(lake, "models", best.model).members(PREDICTOR, "train")[0].folder)
        theirs = answers(other, bodies)
        figures["champion"] = best.model
        figures["champion_rougeL"] = score(theirs.given, references).rougeL
        near["champion_recall_at_10"] = retrieval(_ranks(other, examples, theirs, rows)).recall_at_10
    figures |= {"retrieval": near, "confidence": sure}
    model.note(EVALUATION, figures)

    run = tracking.run(manifest.figures["mlflow_run"])
    groups: dict[str, dict[str, Any]] = {
        "titles": {name.replace("lead_", "floor_"): value for name, value in figures.items()},
        "retrieval": near,
        "titles_confidence": sure,  # MLflow shows groups by the alphabet: behind the titles
        "usage": {
            "evaluate_seconds": time.perf_counter() - began,
            "evaluate_issues_a_second": rate,
            "evaluate_peak_mib": memory.peak(),
        },
    }
    numbers = {f"{group}/{name}": value for group, found in groups.items() for name, value in found.items()}
    run.metrics({name: value for name, value in numbers.items() if isinstance(value, int | float)})
    found_bins = [asdict(one) for one in bins(confidences, rouge)]
    run.table("confidence.json", found_bins)
    run.confidence_picture(found_bins)
    samples = [
        {"url": example.url, "title": example.title, "predicted": title, "confidence": float(confidence)}
        for example, title, confidence in zip(examples, own.given, own.confidences, strict=True)
    ][: settings.model.sample_titles]
    run.table("sample_titles.json", samples)
    tracking.describe(run.id)
    return {**figures, "samples": samples}


def drawn(count: int) -> npt.NDArray[np.int64]:
    """The rows, in order, of `count` issues that retrieval is measured on: all, or RETRIEVAL_ISSUES of them, always the same."""
    if count <= RETRIEVAL_ISSUES:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, RETRIEVAL_ISSUES, replace=False))


def _ranks(
    predictor: Predictor, examples: Sequence[Example], found: Answers, rows: npt.NDArray[np.int64]
) -> Ranks:
    return own_ranks(asked(predictor, [examples[row].title for row in rows]), found.embeddings[rows])


def _floor(
    predictor: Predictor, examples: Sequence[Example], rows: npt.NDArray[np.int64]
) -> dict[str, float]:
    """The same by shared words, of titles and bodies as the predictor's engine cleans them."""
    tokens = tokenizer(predictor.engine)
    ranks = lexical_ranks(
        tokens([examples[row].title for row in rows]), tokens([examples[row].body for row in rows])
    )
    return {f"floor_{name}": value for name, value in asdict(retrieval(ranks)).items()}


def _sure(
    predictor: Predictor, confidences: npt.NDArray[np.float64], rouge: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """What the confidence is worth; `alike_given` is the share among the titles that the threshold lets pass. Empty without a title."""
    if not len(confidences):
        return {}
    given = rouge[confidences >= predictor.abstain_below]
    alike = float((given > ALIKE).mean()) if len(given) else None
    return {
        **asdict(confidence(confidences, rouge)),
        "abstain_below": predictor.abstain_below,
        "alike_given": alike,
    }


def champion(lake: Lake, settings: Settings) -> str:
    """The champion's name. Raises UsageError where there is none."""
    found = tracking_of(settings, lake).champion()
    if found is None:
        raise UsageError("No model is champion yet.", "Train one, then: titler promote MODEL")
    return found.model


def from_file(lake: Lake, settings: Settings, path: Path, name: str | None = None) -> dict[str, Any]:
    """Figures of a model, by default the champion, on a file of titles and bodies.

    Raises UsageError for a file that is none, for a model that was not trained, and where there is no champion.
    """
    pairs = list(read_pairs(path))
    name = name or champion(lake, settings)
    manifest = Pinned(lake, "models", name).members(PREDICTOR, "train")[0]
    predictions = load_predictor(lake, manifest.folder).predict([body for _, body in pairs])
    figures = asdict(
        score([prediction.title for prediction in predictions], [title.lower() for title, _ in pairs])
    )
    return {**figures, "model": name}
