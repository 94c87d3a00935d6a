"""downstream: what a model's embeddings say of issues beside their titles, on a file that tells labels and
dates.

An issue as GH Archive tells it when it is opened has neither, so a file is read: see
`pipeline.source.issue_files`. Pull requests are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.contracts import PREDICTOR
from pipeline.dataset.split import part_of
from pipeline.errors import UsageError
from pipeline.evaluation.downstream_tasks import (
    CLASS_FIGURES,
    DAYS_FIGURES,
    METHODS,
    MIN_ROWS,
    Features,
    Mask,
    class_shortage,
    classify,
    regress,
    row_shortage,
)
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.predictor.loading import load_predictor
from pipeline.predictor.predictor import Predictor
from pipeline.settings import Settings
from pipeline.source import issue_files
from pipeline.source.issue_files import FileIssue
from pipeline.stages.evaluate import champion_name
from pipeline.text.engine import tokenizer
from pipeline.tracking import open_tracking

WORD = re.compile(r"[^\W\d_]+")
BUG = {"bug", "bugs", "defect", "defects", "regression", "regressions"}
USELESS = {"invalid", "spam", "question", "questions"}
TEST_SHARE = 0.2
"""Of a file that is split by time: the latest rows."""
DAY = 24 * 3600.0
TABLE = "downstream.json"


@dataclass(frozen=True)
class Task:
    """A question about issues. `value`: True or False, or days; None where an issue does not tell. `needs`
    says what it must tell."""

    name: str
    value: Callable[[FileIssue], float | None]
    needs: str
    figures: tuple[str, ...]


def says(labels: Sequence[str], words: set[str]) -> bool:
    """Whether a label holds one of the words: `C-bug`, `type: bug`, `kind/regression`; not `not a bug`, and
    not `debug`."""
    return any(
        found & words and "not" not in found for found in ({*WORD.findall(label.lower())} for label in labels)
    )


def is_bug(issue: FileIssue) -> float | None:
    return float(says(issue.labels, BUG)) if issue.labels else None


def is_useless(issue: FileIssue) -> float | None:
    """Among labelled issues that were closed, as far as that is told."""
    return float(says(issue.labels, USELESS)) if issue.labels and issue.closed is not False else None


def days_open(issue: FileIssue) -> float | None:
    opened, closed = issue.time("created_at"), issue.time("closed_at")
    if opened is None or closed is None or closed < opened:
        return None
    return (closed - opened).total_seconds() / DAY


TASKS = (
    Task("bug", is_bug, "labels", CLASS_FIGURES),
    Task("useless", is_useless, "labels", CLASS_FIGURES),
    Task("days_open", days_open, "created_at and closed_at", DAYS_FIGURES),
)


def run(lake: Lake, settings: Settings, path: Path, name: str | None = None) -> dict[str, Any]:
    """Per task the figures by each of METHODS, or why there are none (`skipped`); kept in the model's run in
    MLflow. The keys do not change.

    Raises UsageError for a file that is none or has no issues, for a model that was not trained, and where
    there is no champion.
    """
    name = name or champion_name(lake, settings)
    manifest = Pinned(lake, "models", name).members[PREDICTOR][0]
    rows = list(issue_files.read(path))
    issues = [row for row in rows if not row.is_pull_request]
    if not issues:
        raise UsageError(f"{path}: all {len(rows):,} rows are pull requests.", "Give a file of issues.")
    for task in TASKS:  # a mistake in the file is told before the work
        for issue in issues:
            task.value(issue)
    predictor = load_predictor(lake, manifest.folder)
    features = features_of(predictor, issues)
    tasks = {task.name: figures_of(task, issues, features) for task in TASKS}
    found = {
        "model": name,
        "file": path.name,
        "issues": len(issues),
        "pull_requests": len(rows) - len(issues),
        "tasks": tasks,
    }
    _keep(lake, settings, manifest.figures["mlflow_run"], found)
    return found


def features_of(predictor: Predictor, issues: Sequence[FileIssue]) -> Features:
    """The embeddings as a release has them, and the words of the same text: bodies, and titles where the
    model reads them."""
    titles, bodies = [issue.title for issue in issues], [issue.body for issue in issues]
    embeddings = predictor.embed_vectors(predictor.vectors(bodies), predictor.title_ids(titles))
    texts = (
        [f"{title}\n{body}" for title, body in zip(titles, bodies, strict=True)]
        if predictor.reads_titles
        else bodies
    )
    return Features(embeddings, tokenizer(predictor.engine)(texts))


def split(issues: Sequence[FileIssue], lacking: Callable[[Mask], str]) -> tuple[str, Mask, str]:
    """How the issues are split, which are for testing, and else why they are not: what a way is `lacking`
    with these for testing.

    By repository, as a training is, or else by time, the latest for testing. Never at random: issues of one
    repository and of one week know each other's answers.
    """
    lacks = []
    repos = {issue.repo for issue in issues}
    if len(repos) > 1 and "" not in repos:
        test = np.array([part_of(issue.repo) != "train" for issue in issues], dtype=bool)
        if not (why := lacking(test)):
            return "repository", test, ""
        lacks.append(f"by repository {why}")
    times = [moment.timestamp() for moment in (issue.time("created_at") for issue in issues) if moment]
    if len(times) == len(issues):
        test = np.zeros(len(issues), dtype=bool)
        test[np.argsort(times, kind="stable")[len(issues) - round(TEST_SHARE * len(issues)) :]] = True
        if not (why := lacking(test)):
            return "time", test, ""
        lacks.append(f"by time {why}")
    return (
        "",
        np.zeros(len(issues), dtype=bool),
        "; ".join(lacks) or "neither repositories nor dates to split them by",
    )


def figures_of(task: Task, issues: Sequence[FileIssue], features: Features) -> dict[str, Any]:
    """The task's figures on the issues that tell it, or under `skipped` why there are none."""
    values = np.array([np.nan if (value := task.value(issue)) is None else value for issue in issues])
    known = ~np.isnan(values)
    told = [issue for issue, wanted in zip(issues, known, strict=True) if wanted]
    values, features = values[known], features.rows(known)
    a_class = task.figures == CLASS_FIGURES
    labels = values > 0.5
    found: dict[str, Any] = {
        "rows": len(told),
        "train": 0,
        "test": 0,
        "positives_train": None,
        "positives_test": None,
    }
    found |= {"split": None, "skipped": "", **{way: dict.fromkeys(task.figures) for way in METHODS}}
    if len(told) < MIN_ROWS:
        return {**found, "skipped": f"{len(told)} issues tell {task.needs}, at least {MIN_ROWS} are needed"}
    if a_class and len(np.unique(labels)) < 2:
        return {**found, "skipped": f"{'all' if labels[0] else 'none'} of {len(told):,} labelled issues are"}
    how, test, why = split(told, lambda test: class_shortage(labels, test) if a_class else row_shortage(test))
    if why:
        return {**found, "skipped": why}
    found |= {"split": how, "train": int((~test).sum()), "test": int(test.sum())}
    if a_class:
        found |= {"positives_train": int(labels[~test].sum()), "positives_test": int(labels[test].sum())}
    return found | (classify(features, labels, test) if a_class else regress(features, values, test))


def _keep(lake: Lake, settings: Settings, run_id: str, found: dict[str, Any]) -> None:
    rows = [
        {
            "file": found["file"],
            "task": task,
            "way": way,
            "figure": name,
            "value": value,
            "train": figures["train"],
            "test": figures["test"],
        }
        for task, figures in found["tasks"].items()
        for way in METHODS
        for name, value in figures[way].items()
        if value is not None
    ]
    run = open_tracking(settings, lake).run(run_id)
    if rows:
        run.log_metrics(
            {f"downstream/{row['task']}_{row['way']}_{row['figure']}": row["value"] for row in rows}
        )
        run.log_table(TABLE, rows)
