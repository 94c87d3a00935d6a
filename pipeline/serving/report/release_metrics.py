"""The figures of a release as metrics, for its run in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from pipeline.serving.report.values import ReleaseValues

METRIC_OF_FIGURE: Mapping[str, str] = {
    "Source days": "release/days",
    "Issues": "release/issues",
    "Repositories on the last day": "release/last_day_repositories",
    "Items in the index": "release/index_items",
    "Recall@10 of the index": "release/recall_at_10",
    "Issues without a title": "release/abstained",
    "Marked duplicates among similar issues": "release/marked_recall_at_10",
}
"""The metric of each figure that a report compares with the previous release."""


def release_metrics(values: ReleaseValues) -> dict[str, float]:
    """Returns the metrics of a release, by name: its figures, and the time and the memory that its verbs
    (commands) have used.

    The names of figures begin with `release/`. The names of times, memory and billed bytes begin with
    `usage/`, such as usage/predict_seconds. Shares are 0 to 1, times are in seconds and memory is in MiB.
    """
    figures = {
        METRIC_OF_FIGURE[row.name]: float(row.value)
        for row in values.comparisons
        if row.name in METRIC_OF_FIGURE
    }
    usages = {
        f"usage/{row.verb}_{name}": value for row in values.verbs for name, value in asdict(row.usage).items()
    }
    billed = {"usage/extract_bytes_billed": float(values.extraction.bytes)} if values.extraction else {}
    not_passed = sum(check.outcome != "passed" for check in values.checks)
    return {**figures, "release/checks_not_passed": float(not_passed), **usages, **billed}


def release_parameters(values: ReleaseValues) -> dict[str, str]:
    """Returns the parameters of a release's run in MLflow: the model and the days, as the plan of the release
    records them."""
    return {"model": values.model, "first_day": values.first_day, "last_day": values.last_day}
