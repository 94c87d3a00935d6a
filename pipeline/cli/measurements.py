"""Records metrics from the results of stages. Commands send these metrics as telemetry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipeline.cli.lineage import Subject
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.telemetry import Recording
from pipeline.usage import Usage

if TYPE_CHECKING:
    from pipeline.compute.derived_batches import Outcome

FIRST_VERBS = ("plan", "vocab")
"""The verbs that begin a release and a model. Their spans are the parents of the other verbs' spans."""
MIB = 2**20
RELEASE_METRICS = {
    "titler.release.issues": "issues",
    "titler.release.days": "days",
    "titler.release.recall": "recall_at_10",
    "titler.release.abstained": "abstained",
}
"""The metric of each figure in a release's record."""


def new_recording(lake: Lake, verb: str, subject: Subject) -> Recording:
    """Returns a new recording, which collects the metrics of one verb (a command, such as `embed`).

    `subject` is what the verb processes. If it is a model or a release, the verb becomes part of the trace of
    this model or release. Otherwise, the verb has a trace of its own.
    """
    if not isinstance(subject, Pinned):
        return Recording(verb)
    attributes = {f"titler.{subject.kind.removesuffix('s')}": subject.name}
    trace = f"{lake.root}/{subject.kind}/{subject.name}"
    return Recording(verb, trace, verb in FIRST_VERBS, attributes)


def measure_usage(recording: Recording, usage: Usage) -> None:
    """Records the time and the memory that a verb has used."""
    recording.measure("titler.verb.duration", usage.seconds)
    recording.measure("titler.verb.cpu_time", usage.cpu_seconds)
    recording.measure("titler.verb.peak_memory", round(usage.peak_mib * MIB))
    if usage.worker_peak_mib:
        recording.measure("titler.verb.worker_peak_memory", round(usage.worker_peak_mib * MIB))


def measure_result(recording: Recording, result: Any, health: Sequence[Mapping[str, Any]]) -> None:
    """Records metrics of the data that a verb wrote, and how many of the extracted days have each verdict. A
    verdict says how complete a day is. `result` is the return value of the verb's stage, or None if the stage
    failed. `health` has one row of `source_health_v1` for each day that the verb extracted."""
    from pipeline.compute.derived_batches import Outcome

    if isinstance(result, Outcome):
        _measure_batches(recording, result)
    elif recording.verb == "publish" and result:
        for metric, key in RELEASE_METRICS.items():
            if result.get(key) is not None:
                recording.measure(metric, float(result[key]))
    for verdict, days in sorted(Counter(str(row["verdict"]) for row in health).items()):
        recording.measure("titler.source.days", days, verdict=verdict)


def _measure_batches(recording: Recording, outcome: Outcome) -> None:
    """Records the number of the new batches, their rows, and what BigQuery billed for them. The rows and the
    costs of reused batches are left out, because they belong to an earlier run."""
    new = [batch for batch in outcome.manifests if _is_new(batch, recording)]
    recording.measure("titler.verb.rows", sum(batch.rows for batch in new))
    recording.measure("titler.verb.new_batches", outcome.made)
    costs = [batch.figures["cost"] for batch in new if "cost" in batch.figures]
    if costs:
        recording.measure("titler.bigquery.billed", sum(cost["bytes_billed"] for cost in costs))
        recording.measure("titler.bigquery.cost", sum(cost["usd"] for cost in costs))


def _is_new(batch: Manifest, recording: Recording) -> bool:
    """Returns whether a batch was written since the verb began. A batch records its time in whole seconds, so
    the start of the verb is rounded down to a whole second, too."""
    return datetime.fromisoformat(batch.created_at).timestamp() >= recording.begin // 10**9
