"""Runs each stage for the command line. Records which data the stage read and wrote (its lineage), and prints
its result.

`titler run` and the commands of single stages call the same functions, so their output and lineage are the
same. Stages are imported only when they run, because some of them import Keras or MLflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import alerts
from pipeline.cli import mark_reports, report_command, stage_reports
from pipeline.cli.console import some_days
from pipeline.cli.lineage import StageRecord, Subject
from pipeline.cli.measurements import measure_result, measure_usage, new_recording
from pipeline.cli.options import Context
from pipeline.errors import SourceError
from pipeline.lake.forgotten import refuse_while_forgetting
from pipeline.lake.leases import hold_lease
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay
from pipeline.telemetry import Recording, sending
from pipeline.usage import Stopwatch

if TYPE_CHECKING:
    from pipeline.compute.derived_batches import Outcome
    from pipeline.stages.plan import PlanOutcome
    from pipeline.stages.teach import TeacherRequest
    from pipeline.stages.vocab import ModelRequest


@contextmanager
def recorded(context: Context, verb: str, subject: Subject) -> Iterator[StageRecord]:
    """Context manager around a stage. Records which data the stage read and wrote, and how much time and
    memory it used.

    If the stage works on a model or a release, the time and the memory are stored in the lake, in the files
    that list the batches of the model or release. If `context.timed` is true, they are printed. If the
    setting `telemetry.otlp_endpoint` has an address, they and other metrics are sent to this address.

    Raises TitlerError while `titler forget` runs.
    """
    stopwatch, name = Stopwatch(), ""
    if isinstance(subject, Pinned):
        name, subject.members.stopwatch = subject.name, stopwatch
    record = StageRecord()

    def measure(recording: Recording) -> None:
        measure_usage(recording, stopwatch.usage())
        measure_result(recording, record.result, record.health)

    endpoint = context.settings.telemetry.otlp_endpoint
    with (
        sending(endpoint, new_recording(context.lake, verb, subject), measure),
        hold_lease(context.lake, verb, name),
        context.lineage.stage(verb, subject) as stage_record,
    ):
        record = stage_record
        refuse_while_forgetting(context.lake)
        yield record
    if context.timed:
        stage_reports.timing(verb, stopwatch.usage())


def extract(
    context: Context, days: Sequence[date], *, again: bool = False, fail_if_missing: bool = False
) -> None:
    """Runs the stage `extract` on days, and sends an alert for every day that is not complete.

    Raises BudgetError if the budget for BigQuery does not suffice for all days. The days for which the
    budget does suffice are stored in the lake before the error is raised. Raises SourceError if
    `fail_if_missing` is true and the source has no readable data for a day.
    """
    from pipeline.stages import extract as stage

    with recorded(context, "extract", days) as record:
        outcome, health = stage.run(context.lake, context.settings, days, again=again)
        record.result, record.health = outcome, health
        stage_reports.extracted(context.lake, context.settings, outcome, health)
        alerts.alert_about_days(context.lake, context.settings.alerts, health)
        if outcome.refusal:
            raise outcome.refusal
        missing = [str(row["day"]) for row in health if row["verdict"] == "missing"]
        if fail_if_missing and missing:
            raise SourceError(
                f"The source has no readable data for {some_days(missing)}.",
                f"When the source has the day, extract it:             titler extract --day {missing[0]}\n"
                f"To publish the day as missing with the next release: titler clean --day {missing[0]}",
                event=alerts.day_event(missing[0], "missing"),  # the alert about the day is not sent twice
                final=True,
            )


def extract_file(context: Context, path: Path) -> Manifest:
    """Stores the issues of a user's file in the lake, and prints the result. Returns the manifest
    (description) of the stored issues."""
    from pipeline.stages import extract_file as stage

    with recorded(context, "extract", path) as record:
        record.result, is_new = stage.run(context.lake, context.settings, path)
        stage_reports.file_extracted(context.lake, path, record.result, is_new)
    return record.result


def clean(context: Context, days: Sequence[date]) -> None:
    """Runs the stage `clean` on days, and prints the result."""
    from pipeline.stages import clean as stage

    with recorded(context, "clean", days) as record:
        record.result = stage.run(context.lake, context.settings, [day.isoformat() for day in days])
        stage_reports.batches(context.lake, "clean", record.result)


def clean_file(context: Context, issues: Manifest) -> Manifest:
    """Runs the stage `clean` on a user's file of issues, and prints the result."""
    from pipeline.stages import clean as stage

    with recorded(context, "clean", ()) as record:
        outcome: Outcome = stage.clean_batches(context.lake, context.settings, [issues])
        record.result = outcome
        stage_reports.batches(context.lake, "clean", outcome, "file")
    return outcome.manifests[0]


def vocab(
    context: Context, model: Pinned, request: ModelRequest, file_days: Sequence[PinnedDay] = ()
) -> None:
    """Runs the stage `vocab`, which creates a model, and prints the result."""
    from pipeline.stages import vocab as stage

    with recorded(context, "vocab", model) as record:
        record.result = stage.run(context.lake, context.settings, model, request, file_days)
        stage_reports.vocabulary(context.lake, model, record.result)


def vectorize(context: Context, pinned: Pinned, partition: str = "day") -> None:
    """Runs the stage `vectorize` for a model or a release, and prints the result.

    `partition` is "day", or "file" if the model is trained on a file.
    """
    from pipeline.stages import vectorize as stage

    with recorded(context, "vectorize", pinned) as record:
        record.result = stage.run(context.lake, context.settings, pinned)
        stage_reports.batches(context.lake, "vectorize", record.result, partition)


def train(context: Context, model: Pinned, teacher: TeacherRequest | None = None) -> None:
    """Runs the stage `train`, and prints the result."""
    from pipeline.stages import train as stage

    with recorded(context, "train", model) as record:
        record.teacher = teacher
        record.result = stage.run(context.lake, context.settings, model, stage_reports.epoch, teacher)
        stage_reports.trained(context.lake, context.settings, model.name, record.result)


def evaluate(context: Context, model: Pinned, *, as_json: bool = False) -> None:
    """Runs the stage `evaluate` on the model's held-out issues, and prints the result."""
    from pipeline.stages import evaluate as stage

    with recorded(context, "evaluate", model) as record:
        record.result = stage.run(context.lake, context.settings, model)
        stage_reports.evaluated(record.result, as_json)


def promote(context: Context, model: Pinned, *, force_because: str = "", accept_because: str = "") -> None:
    """Runs the stage `promote`, which may make the model the champion, and prints the result."""
    from pipeline.stages import promote as stage

    with recorded(context, "promote", model) as record:
        record.result = stage.run(
            context.lake,
            context.settings,
            model,
            force_because=force_because,
            accept_because=accept_because,
        )
        stage_reports.promoted(record.result, accept_because)


def learn_ordering(context: Context) -> bool:
    """Runs the stage `learn-ordering` on the current release, and prints the result. Returns false if nothing
    could be learned, because there is no release yet, or too few duplicate marks."""
    from pipeline.releases.current import current_release_id
    from pipeline.stages import learn_ordering as stage

    if (release_id := current_release_id(context.lake)) is None:
        mark_reports.no_release_to_learn_from()
        return False
    release = context.release(release_id)
    with recorded(context, "learn-ordering", release) as record:
        outcome = stage.run(context.lake, context.settings, release)
        record.result = outcome
        mark_reports.ordering_learned(context.lake, context.settings, outcome)
    return outcome.version is not None


def use_default_ordering(context: Context) -> None:
    """Makes new releases use the default ordering, and prints a message about it."""
    from pipeline.index import stored_orderings

    stored_orderings.use_default_ordering(context.lake)
    mark_reports.default_ordering_used()


def plan(context: Context, release: Pinned) -> PlanOutcome:
    """Runs the stage `plan`, which creates a release if anything is new, and prints the result.

    Returns the plan of the new release, or the reason why no release was created.
    """
    from pipeline.stages import plan as stage

    with recorded(context, "plan", release) as record:
        planned: PlanOutcome = stage.run(context.lake, context.settings, release)
        record.result = planned
        stage_reports.planned(release.name, planned)
    return planned


def embed(context: Context, release: Pinned) -> None:
    """Runs the stage `embed` for a release, and prints the result."""
    from pipeline.stages import embed as stage

    with recorded(context, "embed", release) as record:
        record.result = stage.run(context.lake, context.settings, release)
        stage_reports.batches(context.lake, "embed", record.result)


def predict(context: Context, release: Pinned) -> None:
    """Runs the stage `predict` for a release, and prints the result."""
    from pipeline.stages import predict as stage

    with recorded(context, "predict", release) as record:
        record.result = stage.run(context.lake, context.settings, release)
        stage_reports.batches(context.lake, "predict", record.result)


def index(context: Context, release: Pinned) -> None:
    """Runs the stage `index` for a release, and prints the result."""
    from pipeline.stages import index as stage

    with recorded(context, "index", release) as record:
        record.result = stage.run(context.lake, release, context.settings)
        stage_reports.indexed(context.lake, record.result)


def publish(context: Context, release: Pinned, accepted: Mapping[str, str]) -> None:
    """Runs the stage `publish` for a release, prints the result, and writes the report about the release.

    A user may accept faults of the release. `accepted` maps each accepted fault to the user's reason. A fault
    is written as one of these keys:

    - a date: this day has lost nearly all of its data
    - `abstained`: more issues than before have no title
    - `recall`: the lists of similar issues have fewer marked duplicates than before
    """
    from pipeline.stages import publish as stage

    with recorded(context, "publish", release) as record:
        record.result = stage.run(context.lake, context.settings, release, accepted)
        stage_reports.published(context.settings, record.result, accepted=accepted)
        report_command.write_after_publication(context, release)


def collect(context: Context) -> None:
    """Runs `collect`, and prints what it removed. `collect` writes no datasets, so no lineage is recorded."""
    from pipeline.stages import collect as stage

    stopwatch = Stopwatch()
    endpoint = context.settings.telemetry.otlp_endpoint
    with sending(
        endpoint, Recording("collect"), lambda recording: measure_usage(recording, stopwatch.usage())
    ):
        stage_reports.collected(context.settings, stage.run(context.lake, context.settings))
    if context.timed:
        stage_reports.timing("collect", stopwatch.usage())


ForRelease = Callable[[Context, Pinned], Any]
RELEASE_STAGES: tuple[ForRelease, ...] = (vectorize, embed, predict, index)
"""The stages between `plan` and `publish`, in order."""
