"""Stage `predict`: predicts a title for every issue of a release, with the release's model.

It reads the tables vectors_v1 and issues_v1, and writes the table title_predictions_v1. The plan of a release
may say that a day keeps the titles of an earlier champion. For such a day, no titles are predicted.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.compute.derived_batches import Outcome
from pipeline.contracts import ISSUES, TITLE_PREDICTIONS, VECTORS
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_matrix
from pipeline.lake.manifest import File, Manifest
from pipeline.lake.pinned import Pinned
from pipeline.predictor.batch_inference import Inference, InferenceDay, infer_days
from pipeline.predictor.predictor import Model
from pipeline.releases.kept_titles import kept_batches
from pipeline.settings import Settings
from pipeline.text.excerpt import excerpt

ROWS_PER_PART = 8192
"""Maximum number of issues per Dask task. One core takes half a minute or longer to predict as many titles.
So the titles of one large day are predicted in parallel, too."""
ISSUE_COLUMNS = ["issue_id", "issue_url", "repo", "title", "created_at", "author_association"]
"""The columns of issues_v1 that are shown beside a predicted title as they are."""


def predict_part(rows: pa.Table, predictor: Model, constants: Mapping[str, Any]) -> pa.Table:
    """Predicts a title for each row, from the column `body`, which has the padded ids of the body.

    Returns the rows without the column `body`, but with new columns about the title. Each entry of
    `constants` adds another column: the key is the column's name, and the value is the same in all rows.
    """
    titles = predictor.title_vectors(list_matrix(rows.column("body"), predictor.vocabularies.body.length))
    return pa.table(
        {
            **{name: rows.column(name) for name in rows.column_names if name != "body"},
            "predicted_title": titles.titles,
            "confidence": titles.confidences,
            "abstained": titles.abstained,
            "probability": pa.array(titles.probabilities, mask=np.isnan(titles.probabilities)),
            **{name: pa.repeat(value, len(rows)) for name, value in constants.items()},
        }
    )


def count_abstained(rows: pa.Table) -> dict[str, int]:
    """Returns the figure `abstained` for a manifest: the number of rows for which the model gave no title."""
    return {"abstained": int(pc.sum(rows.column("abstained")).as_py() or 0)}


def read_rows(file: File, lake: Lake, vectors: Manifest, issues: Manifest) -> pa.Table:
    """Joins a file of the batch `vectors` with the file of the same name of the batch `issues`.

    Returns one row per issue, with the padded ids of the body, an excerpt of the body, the source day and the
    id of the batch `issues`. Raises LakeError if the two files do not hold the same issues in the same order.
    """
    ids = lake.read_part(vectors, file, ["issue_id", "body"])
    issue_file = next(candidate for candidate in issues.files if candidate.name == file.name)
    table = ISSUES.add_missing_columns(lake.read_part(issues, issue_file))
    if not ids.column("issue_id").equals(table.column("issue_id")):
        raise LakeError(
            f"{issues.day}: {issues.folder} and {vectors.folder} do not hold the same issues.",
            f"Clean the day again: titler clean --day {issues.day}",
        )
    excerpts = pa.array(map(excerpt, table.column("body").to_pylist()), pa.string())
    table = table.select(ISSUE_COLUMNS).append_column("body_excerpt", excerpts)
    table = table.append_column("body", ids.column("body"))
    table = table.append_column("source_day", pa.repeat(date.fromisoformat(issues.day), len(table)))
    return table.append_column("issues_batch", pa.repeat(issues.batch_id, len(table)))


def run(lake: Lake, settings: Settings, release: Pinned) -> Outcome:
    """Predicts titles for the issues of a release. Returns one batch of the table title_predictions_v1 per
    day. Reuses batches that the same model made before. Raises UsageError if the stage `vectorize` has not
    run for the release."""
    plan = release.plan
    facts, kept_of_day = plan.facts, kept_batches(release)
    batches = zip(plan.days, release.members[VECTORS.name], release.members[ISSUES.name], strict=True)
    days = []
    for day, vectors, issues in batches:
        days.append(
            InferenceDay(
                vectors,
                functools.partial(read_rows, lake=lake, vectors=vectors, issues=issues),
                {"model": facts["model"], "day": day.day},
                (vectors.digest, issues.digest),
                {"predictor": facts["predictor_digest"], "issues_batch": issues.batch_id},
                kept_of_day.get(day.day),
            )
        )
    constants = {name: facts[name] for name in ("model", "model_version", "vocabulary", "mlflow_run")}
    infer = functools.partial(predict_part, constants=constants)
    inference = Inference(
        "predict",
        TITLE_PREDICTIONS,
        infer,
        rows_per_part=ROWS_PER_PART,
        rows_worth_a_cluster=ROWS_PER_PART,
        count=count_abstained,
    )
    return infer_days(lake, settings.compute, release, days, inference)
