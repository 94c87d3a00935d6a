"""predict: vectors_v1 and issues_v1 -> title_predictions_v1, with the release's model."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.contracts import ISSUES, TITLE_PREDICTIONS, VECTORS
from pipeline.lake import Lake
from pipeline.pins import Pinned
from pipeline.progress import track
from pipeline.stages import Outcome
from pipeline.stages.embed import load_predictor
from pipeline.stages.vectorize import id_matrix


def predict_part(vectors: pa.Table, issues: pa.Table, predictor: Any, lineage: dict[str, Any]) -> pa.Table:
    """Ids in, titles out, row for row; `issues` are the same issues in the same order, `lineage` the constant columns."""
    titles = predictor.title_vectors(id_matrix(vectors.column("body"), predictor.vocabularies.body.length))
    columns = {name: issues.column(name) for name in ("issue_id", "issue_url", "repo", "title", "created_at")}
    constants = {name: [value] * len(issues) for name, value in lineage.items()}
    predicted = {"predicted_title": titles.titles, "confidence": titles.confidences, "abstained": titles.abstained}
    return pa.table({**columns, **predicted, **constants})


def run(lake: Lake, release: Pinned) -> Outcome:
    """Titles what the release's model has not titled yet. Raises UsageError where the release was not vectorized."""
    plan = release.plan()
    facts = plan.facts
    manifests, made, predictor = [], 0, None
    vectors = release.members(VECTORS.name, "vectorize")
    for day, source in track(zip(plan.days, vectors, strict=True), "predict", len(vectors)):
        issues = release.issues(day)
        partition = {"model": facts["model"], "day": day.day}
        parameters = {"predictor": facts["predictor_digest"], "issues_batch": issues.batch_id}
        manifest = lake.find(TITLE_PREDICTIONS.name, partition, (source.digest, issues.digest), parameters)
        if manifest is None:
            predictor = predictor or load_predictor(lake, facts["predictor"])
            lineage = {
                "source_day": date.fromisoformat(day.day),
                "model": facts["model"],
                "model_version": facts["model_version"],
                "vocabulary": facts["vocabulary"],
                "mlflow_run": facts["mlflow_run"],
                "issues_batch": issues.batch_id,
            }
            draft = lake.draft(TITLE_PREDICTIONS.name, partition, (source.digest, issues.digest), parameters)
            for file, issue_file in zip(source.files, issues.files, strict=True):
                table = predict_part(
                    lake.read_part(source, file), lake.read_part(issues, issue_file, ISSUES.schema.names), predictor, lineage
                )
                draft.write_table(file.name, table, TITLE_PREDICTIONS)
            manifest = draft.commit()
            made += 1
        manifests.append(manifest)
    release.set_members(TITLE_PREDICTIONS.name, manifests)
    return Outcome(tuple(manifests), made)
