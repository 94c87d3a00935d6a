"""Runs each stage for the command line, records its lineage and prints its result. `titler run` also prints
times.

`titler run` and the commands of single stages call the same functions, so their output and lineage are the
same. Stages are imported only when they run, because some of them import Keras or MLflow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import alerts, memory
from pipeline.cli import stage_reports
from pipeline.cli.lineage import StageRecord, Subject
from pipeline.cli.options import Context
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned, PinnedDay

if TYPE_CHECKING:
    from pipeline.compute.derived_batches import Outcome
    from pipeline.stages.plan import PlanOutcome
    from pipeline.stages.teach import TeacherRequest
    from pipeline.stages.vocab import ModelRequest


@contextmanager
def recorded(context: Context, verb: str, subject: Subject) -> Iterator[StageRecord]:
    """Context manager around a stage. Records the stage's lineage. If `context.timed` is true, also prints
    the stage's wall time and peak memory."""
    started, workers_before = time.perf_counter(), memory.child_peak()
    if context.timed:
        memory.reset_peak()
    with context.lineage.stage(verb, subject) as record:
        yield record
    if context.timed:
        workers = memory.child_peak()
        worker_peak = workers if workers > workers_before else 0.0
        stage_reports.timing(verb, time.perf_counter() - started, memory.peak(), worker_peak)


def extract(context: Context, days: Sequence[date], *, again: bool = False) -> None:
    """Runs `extract`, and sends an alert for every day that is not complete."""
    from pipeline.stages import extract as stage

    with recorded(context, "extract", days) as record:
        outcome, health = stage.run(context.lake, context.settings, days, again=again)
        record.result = outcome
        stage_reports.extracted(context.lake, context.settings, outcome, health)
    alerts.alert_about_days(context.lake, context.settings.alerts, health)


def extract_file(context: Context, path: Path) -> Manifest:
    """Reads a user's file into a batch of issues."""
    from pipeline.stages import extract_file as stage

    with recorded(context, "extract", path) as record:
        record.result, is_new = stage.run(context.lake, context.settings, path)
        stage_reports.file_extracted(context.lake, path, record.result, is_new)
    return record.result


def clean(context: Context, days: Sequence[date]) -> None:
    """Runs `clean` on days."""
    from pipeline.stages import clean as stage

    with recorded(context, "clean", days) as record:
        record.result = stage.run(context.lake, context.settings, [day.isoformat() for day in days])
        stage_reports.batches(context.lake, "clean", record.result)


def clean_file(context: Context, issues: Manifest) -> Manifest:
    """Runs `clean` on a user's file."""
    from pipeline.stages import clean as stage

    with recorded(context, "clean", ()) as record:
        outcome: Outcome = stage.clean_batches(context.lake, context.settings, [issues])
        record.result = outcome
        stage_reports.batches(context.lake, "clean", outcome, "file")
    return outcome.manifests[0]


def vocab(
    context: Context, model: Pinned, request: ModelRequest, file_days: Sequence[PinnedDay] = ()
) -> None:
    """Runs `vocab`."""
    from pipeline.stages import vocab as stage

    with recorded(context, "vocab", model) as record:
        record.result = stage.run(context.lake, context.settings, model, request, file_days)
        stage_reports.vocabulary(context.lake, model, record.result)


def vectorize(context: Context, pinned: Pinned, partition: str = "day") -> None:
    """Runs `vectorize` for a model or a release. `partition` says what each batch holds: a `day` or a
    `file`."""
    from pipeline.stages import vectorize as stage

    with recorded(context, "vectorize", pinned) as record:
        record.result = stage.run(context.lake, context.settings, pinned)
        stage_reports.batches(context.lake, "vectorize", record.result, partition)


def train(context: Context, model: Pinned, teacher: TeacherRequest | None = None) -> None:
    """Runs `train`."""
    from pipeline.stages import train as stage

    with recorded(context, "train", model) as record:
        record.result = stage.run(context.lake, context.settings, model, stage_reports.epoch, teacher)
        stage_reports.trained(context.lake, context.settings, model.name, record.result)


def evaluate(context: Context, model: Pinned, *, as_json: bool = False) -> None:
    """Runs `evaluate` on the model's held-out issues."""
    from pipeline.stages import evaluate as stage

    with recorded(context, "evaluate", model) as record:
        record.result = stage.run(context.lake, context.settings, model)
        stage_reports.evaluated(record.result, as_json)


def promote(context: Context, model: Pinned, *, force_because: str = "", accept_because: str = "") -> None:
    """Runs `promote`."""
    from pipeline.stages import promote as stage

    with recorded(context, "promote", model) as record:
        record.result = stage.run(
            context.lake,
            context.settings,
            model,
            force_because=force_because,
            accept_because=accept_because,
        )
        stage_reports.promoted(record.result)


def plan(context: Context, release: Pinned) -> PlanOutcome:
    """Runs `plan`. Returns the plan of the new release, or the reason why none was created."""
    from pipeline.stages import plan as stage

    with recorded(context, "plan", release) as record:
        planned: PlanOutcome = stage.run(context.lake, context.settings, release)
        record.result = planned
        stage_reports.planned(release.name, planned)
    return planned


def embed(context: Context, release: Pinned) -> None:
    """Runs `embed`."""
    from pipeline.stages import embed as stage

    with recorded(context, "embed", release) as record:
        record.result = stage.run(context.lake, release)
        stage_reports.batches(context.lake, "embed", record.result)


def predict(context: Context, release: Pinned) -> None:
    """Runs `predict`."""
    from pipeline.stages import predict as stage

    with recorded(context, "predict", release) as record:
        record.result = stage.run(context.lake, release)
        stage_reports.batches(context.lake, "predict", record.result)


def index(context: Context, release: Pinned) -> None:
    """Runs `index`."""
    from pipeline.stages import index as stage

    with recorded(context, "index", release) as record:
        record.result = stage.run(context.lake, release, context.settings.index)
        stage_reports.indexed(context.lake, record.result)


def publish(context: Context, release: Pinned, accepted: Mapping[str, str]) -> None:
    """Runs `publish`. `accepted` maps what a user accepts to the reason. Its keys are collapsed days, which
    lost nearly all data, and the word `abstained`, which accepts that more issues have no title."""
    from pipeline.stages import publish as stage

    with recorded(context, "publish", release) as record:
        record.result = stage.run(context.lake, context.settings, release, accepted)
        stage_reports.published(context.settings, record.result)


def collect(context: Context) -> None:
    """Runs `collect`. It changes no dataset, so it has no lineage."""
    from pipeline.stages import collect as stage

    started = time.perf_counter()
    stage_reports.collected(context.settings, stage.run(context.lake, context.settings))
    if context.timed:
        stage_reports.timing("collect", time.perf_counter() - started, memory.peak(), 0.0)


ForRelease = Callable[[Context, Pinned], Any]
RELEASE_STAGES: tuple[ForRelease, ...] = (vectorize, embed, predict, index)
"""The stages between `plan` and `publish`, in order."""
