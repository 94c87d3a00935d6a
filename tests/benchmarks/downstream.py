"""What embeddings predict besides titles: bug or not, useless or not, days open, on real issues.

    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/downstream.py --model DIR [DIR ...]

As `titler evaluate --downstream` does it, for models that `Predictor.save` wrote. One row per file and task;
a cell is embedding / bag of words of the same text / majority.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.evaluation.downstream_tasks import METHODS
from pipeline.predictor.predictor import Predictor
from pipeline.source import issue_files
from pipeline.stages.evaluate_downstream import TASKS, Task, features_of, figures_of
from tests.benchmarks.parts import test_data

FILES = ("ai_frameworks_issues", "llm_app_issues", "hf_datasets", "rust")
"""The files with labels or dates."""


def line(model: str, file: str, task: Task, figures: Mapping[str, Any]) -> str:
    """One row of the table."""
    counts = [figures["train"], figures["test"]]
    if figures["positives_train"] is not None:
        counts = [
            f"{rows} ({figures[f'positives_{side}']})"
            for rows, side in zip(counts, ("train", "test"), strict=True)
        ]
    cells = [" / ".join(f"{figures[method][figure]:.3f}" for method in METHODS) for figure in task.figures]
    return " | ".join([model, file, task.name, *map(str, counts), figures["split"], *cells])


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--files", nargs="+", default=list(FILES))
    arguments = parser.parse_args()
    models = {folder.name: Predictor.load(folder) for folder in arguments.model}
    print(
        "model | file | task | train | test | split by | "
        + "; ".join(f"{task.name}: {', '.join(task.figures)}" for task in TASKS)
    )
    for file in arguments.files:
        rows = issue_files.read(test_data() / "issues" / f"{file}.parquet")
        issues = [row for row in rows if not row.is_pull_request]
        for name, predictor in models.items():
            features = features_of(predictor, issues)
            for task in TASKS:
                figures = figures_of(task, issues, features)
                if figures["skipped"]:
                    print(f"{name} | {file} | {task.name} | skipped: {figures['skipped']}", flush=True)
                else:
                    print(line(name, file, task, figures), flush=True)


if __name__ == "__main__":
    main()
