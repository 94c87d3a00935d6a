"""evaluate: a model's titles on its validation issues against the titles their authors wrote; or any file of titles and bodies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.examples import read_pairs
from pipeline.lake import Lake
from pipeline.metrics import lead, score
from pipeline.pins import Pinned, keep_mask
from pipeline.settings import Settings
from pipeline.split import part_of
from pipeline.stages.embed import load_predictor
from pipeline.stages.train import PREDICTOR, tracking_of

EVALUATION = "evaluation"


@dataclass(frozen=True)
class Example:
    """An issue to score on; `lead` is the floor."""

    issue_id: int
    url: str
    title: str
    body: str
    lead: str


def validation(lake: Lake, model: Pinned) -> Iterator[Example]:
    """The trainable issues of the model's days that validate, in the order of the days."""
    plan = model.plan()
    for day in plan.days:
        issues, tokens = model.issues(day), model.tokens(day)
        for file, token_file in zip(issues.files, tokens.files, strict=True):
            cleaned = lake.read_part(tokens, token_file, ["body", "trainable", "repo"])
            inside = np.array([part_of(repo) == "validation" for repo in cleaned.column("repo").to_pylist()], dtype=bool)
            table = lake.read_part(issues, file)
            mask = inside & cleaned.column("trainable").to_numpy() & keep_mask(plan, day.day, table.column("issue_id").to_numpy())
            leads = cleaned.filter(mask).column("body").to_pylist()
            for row, words in zip(table.filter(mask).to_pylist(), leads, strict=True):
                yield Example(row["issue_id"], row["issue_url"], row["title"], row["body"], lead(words))


def run(lake: Lake, settings: Settings, model: Pinned) -> dict[str, Any]:
    """Figures of the model, of the floor and of the champion on the same issues; kept with the model and in MLflow.

    Raises UsageError where the model was not trained.
    """
    manifest = model.members(PREDICTOR, "train")[0]
    examples = list(validation(lake, model))
    titles = [example.title.lower() for example in examples]
    bodies = [example.body for example in examples]
    predictions = load_predictor(lake, manifest.folder).predict(bodies)
    figures: dict[str, Any] = asdict(score([prediction.title for prediction in predictions], titles))
    figures |= {
        f"lead_{name}": value
        for name, value in asdict(score([example.lead for example in examples], titles)).items()
        if name.startswith("rouge")
    }

    tracking = tracking_of(settings, lake)
    best = tracking.champion()
    figures["champion"] = None
    if best is not None and best.model != model.name:
        other = Pinned(lake, "models", best.model).members(PREDICTOR, "train")[0]
        scored = score([prediction.title for prediction in load_predictor(lake, other.folder).predict(bodies)], titles)
        figures["champion"] = best.model
        figures["champion_rougeL"] = scored.rougeL
    model.note(EVALUATION, figures)
    run_id = manifest.figures["mlflow_run"]
    numbers = {name.replace("lead_", "floor_"): value for name, value in figures.items() if isinstance(value, int | float)}
    tracking.log_metrics(run_id, {f"titles/{name}": value for name, value in numbers.items()})
    tracking.describe(run_id)
    samples = [
        {"url": example.url, "title": example.title, "predicted": prediction.title, "confidence": prediction.confidence}
        for example, prediction in list(zip(examples, predictions, strict=True))[: settings.model.sample_titles]
    ]
    tracking.log_table(run_id, samples, "sample_titles.json")
    return {**figures, "samples": samples}


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
    figures = asdict(score([prediction.title for prediction in predictions], [title.lower() for title, _ in pairs]))
    return {**figures, "model": name}
