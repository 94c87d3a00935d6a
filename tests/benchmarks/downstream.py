"""What an embedding says beside titles: bug or not, useless or not, days open, on the real issues that tell it.

    PYTHONPATH=. TITLER_TEST_DATA=... python tests/benchmarks/downstream.py --model DIR [DIR ...]

As `titler evaluate --downstream` does it, for models that `Predictor.save` wrote. A row for each file and question that can be asked;
a cell is embedding / bag of words of the same text / majority.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.evaluation.downstream_tasks import WAYS
from pipeline.predictor.predictor import Predictor
from pipeline.source import issue_files
from pipeline.stages.evaluate_downstream import TASKS, Task, features_of, figures_of
from tests.benchmarks.parts import test_data

FILES = ("ai_frameworks_issues", "llm_app_issues", "hf_datasets", "rust")
"""Those that tell labels or dates of their issues."""


def line(model: str, file: str, task: Task, found: Mapping[str, Any]) -> str:
    """A row of the table."""
    counts = [found["train"], found["test"]]
    if found["positives_train"] is not None:
        counts = [
            f"{rows} ({found[f'positives_{side}']})"
            for rows, side in zip(counts, ("train", "test"), strict=True)
        ]
    cells = [" / ".join(f"{found[way][figure]:.3f}" for way in WAYS) for figure in task.figures]
    return " | ".join([model, file, task.name, *map(str, counts), found["split"], *cells])


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--files", nargs="+", default=list(FILES))
    chosen = parser.parse_args()
    models = {folder.name: Predictor.load(folder) for folder in chosen.model}
    print(
        "model | file | question | train | test | split by | "
        + "; ".join(f"{task.name}: {', '.join(task.figures)}" for task in TASKS)
    )
    for file in chosen.files:
        rows = issue_files.read(test_data() / "issues" / f"{file}.parquet")
        issues = [row for row in rows if not row.is_pull_request]
        for name, predictor in models.items():
            features = features_of(predictor, issues)
            for task in TASKS:
                found = figures_of(task, issues, features)
                if found["skipped"]:
                    print(f"{name} | {file} | {task.name} | skipped: {found['skipped']}", flush=True)
                else:
                    print(line(name, file, task, found), flush=True)


if __name__ == "__main__":
    main()
