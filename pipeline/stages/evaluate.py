"""evaluate: a model's titles on its validation issues against the titles their authors wrote; or any file of titles and bodies."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.errors import UsageError
from pipeline.lake import Lake
from pipeline.metrics import lead, score
from pipeline.pins import Pinned, keep_mask
from pipeline.settings import Settings
from pipeline.split import part_of
from pipeline.stages.embed import load_predictor
from pipeline.stages.train import PREDICTOR, tracking_of

EVALUATION = "evaluation"
TITLE_COLUMNS = ("title", "issue_title")


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


def from_file(lake: Lake, settings: Settings, path: Path) -> dict[str, Any]:
    """Figures of the champion on a file of titles and bodies. Raises UsageError for a file that is none, and where there is no champion."""
    pairs = list(read_pairs(path))
    name = champion(lake, settings)
    manifest = Pinned(lake, "models", name).members(PREDICTOR, "train")[0]
    predictions = load_predictor(lake, manifest.folder).predict([body for _, body in pairs])
    figures = asdict(score([prediction.title for prediction in predictions], [title.lower() for title, _ in pairs]))
    return {**figures, "model": name}


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """(title, body) of JSON lines, Parquet or CSV with a title (`title` or `issue_title`) and a `body`.

    A body that is not there is empty. Raises UsageError for anything else.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file.", "Give JSON lines, Parquet or CSV with a title and a body.")
    number = 0
    try:
        for number, row in enumerate(_rows(path), start=1):
            yield _pair(row, f"{path}, row {number}")
    except (ValueError, OSError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}", "Expected JSON lines, Parquet (.parquet) or CSV (.csv).") from None
    if not number:
        raise UsageError(f"{path} has no rows.", "Give JSON lines, Parquet or CSV with a title and a body.")


def _rows(path: Path) -> Iterator[Any]:
    """The file's rows; UTF-8 with or without a byte order mark."""
    if path.suffix == ".parquet":
        names = [name for name in pq.read_schema(path).names if name in (*TITLE_COLUMNS, "body")]
        yield from pq.read_table(path, columns=names).to_pylist()
    elif path.suffix == ".csv":
        csv.field_size_limit(2**31 - 1)
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from csv.DictReader(file)
    else:
        with path.open(encoding="utf-8-sig") as file:
            yield from (json.loads(line) for line in file if line.strip())


def _pair(row: object, where: str) -> tuple[str, str]:
    found = row if isinstance(row, dict) else {}
    title = next((found[name] for name in TITLE_COLUMNS if found.get(name) is not None), None)
    if title is None or "body" not in found:
        names = ", ".join(name for name in found if name is not None)  # under None are a CSV row's surplus values
        raise UsageError(f"{where}: found {names or 'neither'}; expected a title (title or issue_title) and a body.")
    body = "" if found["body"] is None else found["body"]
    for name, value in (("title", title), ("body", body)):
        if not isinstance(value, str):
            raise UsageError(f"{where}: the {name} is {value!r:.60}; expected text.")
    return title, body
