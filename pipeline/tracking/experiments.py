"""The texts and views with which MLflow shows Titler's two experiments. One experiment has the trainings, the
other has the releases. Each experiment has a description, and a view of its list of runs.

A view is what MLflow's button "Views" saves (from MLflow 3.15 on): the columns of the list of runs, their
order, the sorting, and the charts. MLflow stores a view in a tag of the experiment, and has no other
interface for views. Earlier versions of MLflow ignore the tag.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOTE_TAG = "mlflow.note.content"
"""The tag whose Markdown text MLflow shows under the heading Description."""
RELEASES_SUFFIX = "-releases"
"""The experiment of the releases is named after that of the trainings, with this suffix."""
VIEW_ID = "titler"
"""The id of our view of an experiment, as in the address of the list of runs."""
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_ID}"
VIEW_QUERY = f"viewStateShareKey={VIEW_ID}"
"""What the address of a list of runs ends with, to open it on the view."""
COLUMN_WIDTH = 150  # pixels


@dataclass(frozen=True)
class View:
    """A view of a list of runs. The list has the columns `metrics` and `parameters`, in this order, and is
    sorted by `sort_by`, the highest value first. The charts show the same metrics, under the heading
    `heading`."""

    name: str
    heading: str
    metrics: Sequence[str]
    parameters: Sequence[str]
    sort_by: str

    def tag(self) -> str:
        """Returns the value of the tag with which MLflow stores the view."""
        metrics = [f"metrics.`{name}`" for name in self.metrics]
        columns = [*metrics, *(f"params.`{name}`" for name in self.parameters)]
        state = {
            "orderByKey": self.sort_by,
            "orderByAsc": False,
            "selectedColumns": columns,
            "columnOrder": ["attributes.`Run Name`", *columns],
            "columnWidths": dict.fromkeys(columns, COLUMN_WIDTH),
            "isAccordionReordered": True,  # otherwise MLflow sorts the sections by name
            "compareRunSections": [_section(self.heading)],
            "compareRunCharts": [_bar_chart(name, self.heading) for name in self.metrics],
        }
        # MLflow requires the time at which the view was made. A fixed time keeps the tag the same.
        return json.dumps({"name": self.name, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)})


def _section(heading: str) -> dict[str, Any]:
    return {
        "uuid": heading,
        "name": heading,
        "display": True,
        "isReordered": False,
        "deleted": False,
        "isGenerated": False,
    }


def _bar_chart(metric: str, heading: str) -> dict[str, Any]:
    return {
        "uuid": metric,
        "type": "BAR",
        "metricKey": metric,
        "displayName": metric,
        "metricSectionId": heading,
        "runsCountToCompare": 10,
        "deleted": False,
        "isGenerated": False,
    }


TRAININGS_VIEW = View(
    "Titles and retrieval, with their floors",
    "Titles and retrieval, each next to its floor",
    (
        "titles/rougeL",
        "titles/floor_rougeL",
        "retrieval/recall_at_10",
        "retrieval/floor_recall_at_10",
    ),
    ("variant", "train_issues", "first_day", "last_day"),
    "metrics.`titles/rougeL`",
)
RELEASES_VIEW = View(
    "Releases, the newest first",
    "Releases",
    ("release/issues", "release/recall_at_10", "release/abstained", "usage/predict_seconds"),
    ("model", "last_day"),
    "attributes.start_time",
)
MODEL_DEVELOPMENT = {"mlflow.experimentKind": "custom_model_development"}
"""The kind of an experiment. Without it, MLflow expects generative AI and opens an empty page of traces."""
TRAININGS_TAGS: Mapping[str, str] = {
    **MODEL_DEVELOPMENT,
    VIEW_TAG: TRAININGS_VIEW.tag(),
    NOTE_TAG: (
        "Titler's training runs: one run per model, with the model's name. A run's description says what the "
        "model was trained on and how good its titles are.\n\nSort by `titles/rougeL`, the score of the "
        "titles. Compare it with `titles/floor_rougeL` of the same run, the score of copying the first words "
        "of the body: a model with a lower score is of no use. In the same way compare "
        "`retrieval/recall_at_10`, the score of the embeddings, with `retrieval/floor_recall_at_10`, that of "
        f"counting shared words. The view *{TRAININGS_VIEW.name}* (button *Views*) shows these columns. To "
        "compare runs, select them and press *Compare*."
    ),
}
RELEASES_TAGS: Mapping[str, str] = {
    **MODEL_DEVELOPMENT,
    VIEW_TAG: RELEASES_VIEW.tag(),
    NOTE_TAG: (
        "Titler's published releases: one run per release, with the release's name. The metrics are the "
        "release's figures, and what each verb used for it. The artifact `report.html` is the page about the "
        f"release. The view *{RELEASES_VIEW.name}* (button *Views*) shows the main columns."
    ),
}
