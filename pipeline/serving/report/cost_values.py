"""The time and the cost of a release: what each verb (command) has used, and what BigQuery has billed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pipeline.contracts import EMBEDDINGS, ISSUES, SEGMENTS, TITLE_PREDICTIONS, VECTORS
from pipeline.lake.pinned import Pinned
from pipeline.serving.report.values import ExtractionCost, VerbUsage
from pipeline.stages.recounted_words import RECOUNTED_FROM

TABLE_OF_VERB: Mapping[str, str] = MappingProxyType(
    {
        "plan": ISSUES.name,
        "vectorize": VECTORS.name,
        "embed": EMBEDDINGS.name,
        "predict": TITLE_PREDICTIONS.name,
        "index": SEGMENTS.name,
    }
)
"""The verbs of a release, and the table with whose batches the usage of each is recorded. `publish` is not
among them, because it writes the report before it ends."""


def verb_usages(release: Pinned) -> tuple[VerbUsage, ...]:
    """Returns the time and the memory that each verb (command) of a release has used. Verbs whose usage was
    not measured are left out, such as all verbs of a release that an earlier version of Titler made."""
    usages = ((verb, release.members.usage(table)) for verb, table in TABLE_OF_VERB.items())
    return tuple(VerbUsage(verb, usage) for verb, usage in usages if usage)


def extraction_cost(release: Pinned, previous: Pinned | None) -> ExtractionCost | None:
    """Returns what BigQuery billed for the new days of a release. A day is new if the release `previous` does
    not have it, or has another extraction of it. If `previous` is None, all days are new.

    Returns None if no such day was extracted with BigQuery, or if `previous` is no longer stored.
    """
    if previous and not previous.is_open():
        return None
    earlier = {day.issues for day in previous.plan.days} if previous else set()
    costs = [
        batch.figures["cost"]
        for batch in release.members[ISSUES.name]
        if "cost" in batch.figures
        and batch.folder not in earlier
        # Such a batch has the cost of the batch from which it was made, and was not billed itself.
        and not (previous and RECOUNTED_FROM in batch.figures)
    ]
    if not costs:
        return None
    billed, usd = sum(cost["bytes_billed"] for cost in costs), sum(cost["usd"] for cost in costs)
    return ExtractionCost(len(costs), billed, usd)
