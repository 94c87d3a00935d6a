"""predict: vectors_v1 and issues_v1 -> title_predictions_v1, with the release's model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.contracts import TITLE_PREDICTIONS, VECTORS
from pipeline.errors import LakeError
from pipeline.lake.batches import File, Lake, Manifest
from pipeline.lake.list_columns import list_matrix
from pipeline.lake.pinned import Pinned
from pipeline.stages import Outcome
from pipeline.stages.embed import Asked, answer_days

COLUMNS = ["issue_id", "issue_url", "repo", "title", "created_at"]


def predict_part(rows: pa.Table, predictor: Any, constants: Mapping[str, Any]) -> pa.Table:
    """Ids in (column `body`), titles out, row for row; other columns stay, `constants` are those that are the same for all."""
    titles = predictor.title_vectors(list_matrix(rows.column("body"), predictor.vocabularies.body.length))
    predicted = {
        "predicted_title": titles.titles,
        "confidence": titles.confidences,
        "abstained": titles.abstained,
    }
    same = {name: pa.repeat(value, len(rows)) for name, value in constants.items()}
    return pa.table(
        {**{name: rows.column(name) for name in rows.column_names if name != "body"}, **predicted, **same}
    )


def read_rows(file: File, lake: Lake, vectors: Manifest, issues: Manifest) -> pa.Table:
    """The issues of a file of `vectors` with their ids and where they come from.

    Raises LakeError where `issues` does not hold the same ones in the same order in the file of the same name.
    """
    ids = lake.read_part(vectors, file, ["issue_id", "body"])
    table = lake.read_part(issues, next(found for found in issues.files if found.name == file.name), COLUMNS)
    if not ids.column("issue_id").equals(table.column("issue_id")):
        raise LakeError(
            f"{issues.day}: {issues.folder} and {vectors.folder} do not hold the same issues.",
            f"Clean it again: titler clean --day {issues.day}",
        )
    table = table.append_column("body", ids.column("body"))
    table = table.append_column("source_day", pa.repeat(date.fromisoformat(issues.day), len(table)))
    return table.append_column("issues_batch", pa.repeat(issues.batch_id, len(table)))


def run(lake: Lake, release: Pinned) -> Outcome:
    """Titles what the release's model has not titled yet. Raises UsageError where the release was not vectorized."""
    plan = release.plan()
    facts = plan.facts
    days = []
    for day, vectors in zip(plan.days, release.members(VECTORS.name, "vectorize"), strict=True):
        issues = release.issues(day)
        days.append(
            Asked(
                vectors,
                functools.partial(read_rows, lake=lake, vectors=vectors, issues=issues),
                {"model": facts["model"], "day": day.day},
                (vectors.digest, issues.digest),
                {"predictor": facts["predictor_digest"], "issues_batch": issues.batch_id},
            )
        )
    constants = {name: facts[name] for name in ("model", "model_version", "vocabulary", "mlflow_run")}
    return answer_days(
        lake,
        release,
        TITLE_PREDICTIONS,
        days,
        functools.partial(predict_part, constants=constants),
        "predict",
    )
