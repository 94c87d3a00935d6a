"""`titler evaluate --downstream`: measures how well a model's embeddings predict facts about issues.

The facts are labels, such as `bug`, and the number of days for which an issue was open. The command reads
them from a file of issues (`pipeline.source.issue_files`). Issues in the lake cannot be used: they are
stored as they were when they were opened, without labels and not yet closed. Pull requests are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.contracts import PREDICTOR
from pipeline.dataset.split import subset_of
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
from pipeline.predictor.predictor import Model
from pipeline.settings import Settings
from pipeline.source import issue_files
from pipeline.source.issue_files import FileIssue
from pipeline.stages.evaluate import champion_name
from pipeline.text.engine import tokenizer
from pipeline.tracking import open_tracking

WORD = re.compile(r"[^\W\d_]+")
BUG_WORDS = {"bug", "bugs", "defect", "defects", "regression", "regressions"}
USELESS_WORDS = {"invalid", "spam", "question", "questions"}
TEST_SHARE = 0.2
"""Share of rows that are used for testing if a file is split by time. They are the latest rows."""
SECONDS_PER_DAY = 24 * 3600.0
ARTIFACT = "downstream.json"


@dataclass(frozen=True)
class Task:
    """A fact to predict about issues from their embeddings, such as whether an issue is a bug.

    The function `value` returns the true value for an issue: 1.0 or 0.0 for a class, or a number of days. It
    returns None if the issue lacks the data. `columns` are the columns of the file that `value` reads.
    `figures` are the names of the figures that are measured.
    """

    name: str
    value: Callable[[FileIssue], float | None]
    columns: str
    figures: tuple[str, ...]


def has_label(labels: Sequence[str], words: set[str]) -> bool:
    """Returns whether at least one label contains one of `words` and does not contain the word "not".

    For example, the word `bug` matches the labels `C-bug` and `type: bug`, but neither `debug` nor `not a
    bug`.
    """
    label_words = [set(WORD.findall(label.lower())) for label in labels]
    return any(one_label & words and "not" not in one_label for one_label in label_words)


def is_bug(issue: FileIssue) -> float | None:
    """Returns 1.0 if an issue has a label such as `bug` or `regression`, otherwise 0.0. Returns None if the
    issue has no labels."""
    return float(has_label(issue.labels, BUG_WORDS)) if issue.labels else None


def is_useless(issue: FileIssue) -> float | None:
    """Returns 1.0 if an issue has a label such as `invalid`, `spam` or `question`, otherwise 0.0. Returns
    None if the issue has no labels or is known to be open."""
    return (
        float(has_label(issue.labels, USELESS_WORDS)) if issue.labels and issue.closed is not False else None
    )


def days_open(issue: FileIssue) -> float | None:
    """Returns how many days an issue was open. Returns None if a date is missing, or if the date of closing
    is before the date of opening."""
    opened, closed = issue.time("created_at"), issue.time("closed_at")
    if opened is None or closed is None or closed < opened:
        return None
    return (closed - opened).total_seconds() / SECONDS_PER_DAY


TASKS = (
    Task("bug", is_bug, "labels", CLASS_FIGURES),
    Task("useless", is_useless, "labels", CLASS_FIGURES),
    Task("days_open", days_open, "created_at and closed_at", DAYS_FIGURES),
)


def run(lake: Lake, settings: Settings, path: Path, name: str | None = None) -> dict[str, Any]:
    """Measures how well a model's embeddings predict each fact in TASKS about the issues of a file. Returns
    the figures, and logs them to MLflow.

    `name` is the name of the model; None means the champion. Each fact is predicted with each method in
    METHODS. The result has an object for each fact, with the same keys for every fact. If a fact cannot be
    predicted, for example because too few issues have labels, the key `skipped` of its object says why.

    Raises UsageError if the file cannot be read as issues or has only pull requests, if the model was not
    trained, or if no model is champion.
    """
    name = name or champion_name(lake, settings)
    manifest = Pinned(lake, "models", name).members[PREDICTOR][0]
    rows = list(issue_files.read(path))
    issues = [row for row in rows if not row.is_pull_request]
    if not issues:
        raise UsageError(f"{path}: all {len(rows):,} rows are pull requests.", "Give a file of issues.")
    for task in TASKS:  # Looks for mistakes in the file before the slow work begins.
        for issue in issues:
            task.value(issue)
    predictor = load_predictor(lake, manifest.folder)
    features = features_of(predictor, issues)
    figures = {
        "model": name,
        "file": path.name,
        "issues": len(issues),
        "pull_requests": len(rows) - len(issues),
        "tasks": {task.name: figures_of(task, issues, features) for task in TASKS},
    }
    _log_figures(lake, settings, manifest.figures["mlflow_run"], figures)
    return figures


def features_of(predictor: Model, issues: Sequence[FileIssue]) -> Features:
    """Returns the embedding of each issue and the tokens of the embedded text. The embedding is the one that
    a release would store.

    The embedded text is the body. If the model's embedding also reads titles, the text is title and body.
    """
    titles, bodies = [issue.title for issue in issues], [issue.body for issue in issues]
    embeddings = predictor.embed_vectors(predictor.vectors(bodies), predictor.title_ids(titles))
    texts = bodies
    if predictor.reads_titles:
        texts = [f"{title}\n{body}" for title, body in zip(titles, bodies, strict=True)]
    return Features(embeddings, tokenizer(predictor.engine)(texts))


def split(issues: Sequence[FileIssue], shortage: Callable[[Mask], str]) -> tuple[str, Mask, str]:
    """Splits issues into training and test issues, by repository or by time.

    Returns three values: the kind of split ("repository" or "time"), a boolean mask of the test issues, and
    the reason why the issues cannot be split. The reason is empty if they are split.

    Issues are split by repository, as for training. If this is impossible or leaves too few training or test
    issues, they are split by time: the latest issues are used for testing. A random split would leak
    information, because issues of one repository or one week resemble each other.

    `shortage` is a function that checks a split. It takes the mask of the test issues, and returns why this
    split cannot be used, or an empty string if it can be used.
    """
    reasons = []
    repos = {issue.repo for issue in issues}
    if len(repos) > 1 and "" not in repos:
        test = np.array([subset_of(issue.repo) != "train" for issue in issues], dtype=bool)
        if not (reason := shortage(test)):
            return "repository", test, ""
        reasons.append(f"by repository {reason}")
    times = [time.timestamp() for time in (issue.time("created_at") for issue in issues) if time is not None]
    if len(times) == len(issues):
        test = np.zeros(len(issues), dtype=bool)
        test[np.argsort(times, kind="stable")[len(issues) - round(TEST_SHARE * len(issues)) :]] = True
        if not (reason := shortage(test)):
            return "time", test, ""
        reasons.append(f"by time {reason}")
    no_test = np.zeros(len(issues), dtype=bool)
    return (
        "",
        no_test,
        "; ".join(reasons) or "the issues have neither repositories nor dates by which they could be split",
    )


def figures_of(task: Task, issues: Sequence[FileIssue], features: Features) -> dict[str, Any]:
    """Measures how well a fact about issues can be predicted, on the issues for which the fact is known.
    Returns the figures. If the fact cannot be predicted, the key `skipped` of the result says why."""
    values = np.array([np.nan if (value := task.value(issue)) is None else value for issue in issues])
    has_value = ~np.isnan(values)
    answered = [issue for issue, selected in zip(issues, has_value, strict=True) if selected]
    values, features = values[has_value], features.rows(has_value)
    is_class = task.figures == CLASS_FIGURES
    labels = values > 0.5
    figures: dict[str, Any] = {
        "rows": len(answered),
        "train": 0,
        "test": 0,
        "positives_train": None,
        "positives_test": None,
        "split": None,
        "skipped": "",
        **{method: dict.fromkeys(task.figures) for method in METHODS},
    }
    if len(answered) < MIN_ROWS:
        reason = f"{len(answered)} issues have {task.columns}, at least {MIN_ROWS} are needed"
        return {**figures, "skipped": reason}
    if is_class and len(np.unique(labels)) < 2:
        share = "all" if labels[0] else "none"
        return {**figures, "skipped": f"{share} of {len(answered):,} labelled issues are positive"}
    kind, test, reason = split(
        answered, lambda test: class_shortage(labels, test) if is_class else row_shortage(test)
    )
    if reason:
        return {**figures, "skipped": reason}
    figures |= {"split": kind, "train": int((~test).sum()), "test": int(test.sum())}
    if is_class:
        figures |= {"positives_train": int(labels[~test].sum()), "positives_test": int(labels[test].sum())}
    return figures | (classify(features, labels, test) if is_class else regress(features, values, test))


def _log_figures(lake: Lake, settings: Settings, run_id: str, figures: dict[str, Any]) -> None:
    """Logs the figures of every task to the run of the model in MLflow, as metrics and as a table."""
    rows = [
        {
            "file": figures["file"],
            "task": task,
            "way": method,
            "figure": name,
            "value": value,
            "train": task_figures["train"],
            "test": task_figures["test"],
        }
        for task, task_figures in figures["tasks"].items()
        for method in METHODS
        for name, value in task_figures[method].items()
        if value is not None
    ]
    run = open_tracking(settings, lake).run(run_id)
    if rows:
        run.log_metrics(
            {f"downstream/{row['task']}_{row['way']}_{row['figure']}": row["value"] for row in rows}
        )
        run.log_table(ARTIFACT, rows)
