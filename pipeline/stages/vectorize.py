"""vectorize: tokens_v1, or for subwords issues_v1, -> vectors_v1, in the vocabulary of a model that trains or of a release's model."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import VECTORS
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_column
from pipeline.lake.pinned import Pinned
from pipeline.settings import Settings
from pipeline.stages import Job, Outcome, map_batches
from pipeline.stages.vocab import VOCABULARY, vocabularies_of
from pipeline.text.vocabulary import Vocabularies


def vectorize_part(rows: pa.Table, vocabularies: Vocabularies) -> pa.Table:
    """Tokens in, for subwords issues as they were written, padded ids out, row for row."""
    bodies, titles = rows.column("body"), rows.column("title")
    if vocabularies.units == "subwords":
        bodies = pc.fill_null(bodies, "")
    return pa.table(
        {
            "issue_id": rows.column("issue_id"),
            "repo": rows.column("repo"),
            "trainable": rows.column("trainable"),
            "body": list_column(vocabularies.body.ids(bodies.to_pylist())),
            "title": list_column(vocabularies.title.ids(titles.to_pylist())),
        }
    )


def run(lake: Lake, settings: Settings, pinned: Pinned) -> Outcome:
    """Vectorizes the pinned days of a model or a release. Raises UsageError where its vocabulary was not made."""
    plan = pinned.plan()
    made = (
        pinned.members(VOCABULARY, "vocab")[0]
        if pinned.kind == "models"
        else lake.manifest(plan.facts["predictor"])
    )
    vocabularies = vocabularies_of(lake, made)
    jobs = []
    for day in plan.days:
        rows = pinned.issues(day) if vocabularies.units == "subwords" else pinned.tokens(day)
        jobs.append(Job(rows, {"vocabulary": vocabularies.id, **rows.partition}, (rows.digest,), {}))
    outcome = map_batches(
        lake, VECTORS, jobs, vectorize_part, vocabularies, label="vectorize", compute=settings.compute
    )
    pinned.set_members(VECTORS.name, outcome.manifests)
    return outcome
