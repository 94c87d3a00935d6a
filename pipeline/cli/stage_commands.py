"""One command per stage, in the order in which the data passes through the stages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import query_reports, stage_reports, stage_runs
from pipeline.cli.options import (
    Accept,
    AcceptFaults,
    Again,
    Because,
    Day,
    Embedding,
    Epochs,
    FailIfMissing,
    First,
    Json,
    Last,
    Model,
    ReleaseId,
    Teacher,
    TeacherWeight,
    Variant,
    app,
    context,
    parse_acceptances,
    parse_day,
    parse_days,
    refuse_options_of_creation,
    teacher_request,
)
from pipeline.contracts import TOKENS
from pipeline.errors import UsageError
from pipeline.lake.pinned import new_id


@app.command()
def extract(
    day: Day = None, first: First = None, last: Last = None, again: Again = False, fail: FailIfMissing = False
) -> None:
    """Extract the opened issues of source days from GH Archive, and judge whether each day is complete. If
    a day shortly before the first of these days is incomplete, also check that day again: extract it
    again if the source now has new or changed hour files for it (see the setting source.recheck_days).

    Example: titler extract --from 2015-01-01 --to 2015-01-07
    """
    stage_runs.extract(context(), parse_days(day, first, last), again=again, fail_if_missing=fail)


@app.command()
def clean(day: Day = None, first: First = None, last: Last = None) -> None:
    """Clean and tokenize the extracted issues of source days. Also cleans earlier days that `titler extract`
    has extracted again because they were incomplete.

    Example: titler clean --day 2015-01-01
    """
    stage_runs.clean(context(), parse_days(day, first, last))


@app.command()
def vocab(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="Name of the new model. The default is the current time."),
    ] = None,
    first: First = None,
    last: Last = None,
    variant: Variant = None,
    epochs: Epochs = None,
    embedding: Embedding = None,
    skip_code: Annotated[
        int,
        typer.Option(
            help="Exit code if no day is cleaned yet. A scheduler, such as Airflow, can then skip the task. "
            "By default, a missing cleaned day is an error."
        ),
    ] = 0,
) -> None:
    """Create a model: record its training days (by default all cleaned days) and build its vocabularies.

    By default, a model of the variant "copy" takes the vocabulary and the embedding network of the champion
    (the model in use).

    Example: titler vocab 20150104T031200Z --from 2015-01-01 --to 2015-01-03
    """
    from pipeline.stages.vocab import ModelRequest

    current = context()
    pinned = current.model(model or new_id())
    if skip_code and not current.lake.days(TOKENS.name):
        stage_reports.no_day_is_cleaned()
        raise typer.Exit(skip_code)
    since = parse_day(first, "--from").isoformat() if first else None
    until = parse_day(last, "--to").isoformat() if last else None
    stage_runs.vocab(current, pinned, ModelRequest(since, until, variant, epochs, embedding=embedding))


@app.command()
def vectorize(
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="Name of a model that `titler vocab` created."),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="RELEASE", help="Name of a release that `titler plan` created."),
    ] = None,
) -> None:
    """Turn the texts of all issues of a model or a release into lists of vocabulary ids. Each list is cut or
    padded to a fixed length.

    Example: titler vectorize --release 20150104T031200Z
    """
    if (model is None) == (release is None):
        raise UsageError(
            "Give either --model or --release.", "For example: titler vectorize --release RELEASE"
        )
    current = context()
    stage_runs.vectorize(current, current.model(model) if model else current.release(release or ""))


@app.command()
def train(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Name of the model. With --from-file, the default is a name derived from the content of the "
            "file, the settings and the teacher.",
        ),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="FILE",
            help="Create a model and train it on a file of JSON, Parquet, CSV or TSV.",
        ),
    ] = None,
    variant: Variant = None,
    epochs: Epochs = None,
    embedding: Embedding = None,
    teacher: Teacher = None,
    teacher_weight: TeacherWeight = None,
) -> None:
    """Train a model after `titler vectorize`, or create and train a model on a file of issues.

    An interrupted training resumes from its last checkpoint.

    Example: titler train --from-file issues.csv --epochs 3
    """
    current, request = context(), teacher_request(teacher, teacher_weight)
    if from_file is not None:
        from pipeline.cli import whole_job

        whole_job.train_from_file(
            current,
            from_file,
            name=model,
            variant=variant,
            epochs=epochs,
            teacher=request,
            embedding=embedding,
        )
        return
    if model is None:
        raise UsageError(
            "Give the name of a model or --from-file.",
            "To train a model that `titler vocab` created: titler train MODEL\n"
            "To train a new model on a file: titler train --from-file FILE",
        )
    refuse_options_of_creation(variant, epochs, embedding)
    stage_runs.train(current, current.model(model), request)


@app.command()
def evaluate(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Name of the model. The default is the champion.")
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="FILE",
            help="File of issues (JSON, Parquet, CSV or TSV) to evaluate the model on, instead of the "
            "issues that were held out from training.",
        ),
    ] = None,
    downstream: Annotated[
        bool,
        typer.Option(
            "--downstream",
            help="Measure how well the embeddings predict two facts about an issue: its labels, and the "
            "number of days that it stays open. This option needs --from-file.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare a model's titles with the titles that authors wrote. With --downstream, measure instead how
    well the model's embeddings predict an issue's labels and the number of days that the issue stays open.

    Example: titler evaluate --downstream --from-file issues.csv --json
    """
    from pipeline.stages import evaluate as stage

    current = context()
    if downstream:
        from pipeline.stages import evaluate_downstream

        if from_file is None:
            raise UsageError(
                "--downstream needs --from-file. The lake stores each issue in the state in which it was "
                "opened, without its labels and without the time when it was closed.",
                "Give a file with the columns title, body, labels, created_at and closed_at: "
                "titler evaluate --downstream --from-file FILE",
            )
        figures = evaluate_downstream.run(current.lake, current.settings, from_file, model)
        query_reports.downstream(figures, as_json)
    elif from_file is not None:
        figures = stage.evaluate_file(current.lake, current.settings, from_file, model)
        stage_reports.evaluated(figures, as_json)
    else:
        name = model or stage.champion_name(current.lake, current.settings)
        stage_runs.evaluate(current, current.model(name), as_json=as_json)


@app.command()
def promote(
    model: Model,
    force: Annotated[
        bool, typer.Option("--force", help="Promote the model even if it is worse than the champion.")
    ] = False,
    accept: Accept = False,
    because: Because = "",
) -> None:
    """Make a model the champion, which is the model that releases use. Refuse if it is worse than the present
    champion.

    If the model's titles are not better than the first words of the issues' bodies, the titles are withheld.
    Releases then have embeddings and similar issues, but show no titles, until a model with better titles is
    promoted.

    Example: titler promote 20150104T031200Z
    """
    option = "--accept" if accept and not force else "--force"
    if (force or accept) != bool(because.strip()):
        raise UsageError(
            f"{option} and --because must be given together.",
            f'Give both: titler promote {model} {option} --because "..."',
        )
    current = context()
    stage_runs.promote(
        current,
        current.model(model),
        force_because=because if force else "",
        accept_because=because if accept else "",
    )


@app.command("learn-ordering")
def learn_ordering(
    default: Annotated[
        bool,
        typer.Option("--default", help="Learn nothing. Instead, make new releases use the default weights."),
    ] = False,
    skip_code: Annotated[
        int,
        typer.Option(
            help="Exit code if there is no release yet, or too few marks to learn from. A scheduler, such as "
            "Airflow, can then skip the task."
        ),
    ] = 0,
) -> None:
    """Learn an ordering from the duplicate marks of the current release. An ordering has the weights with
    which Titler computes the probability that two issues are duplicates. Similar issues are listed in the
    order of this probability. New releases use the learned ordering if, on held-out repositories, it beats
    the default weights and is not worse than the ordering in use.

    Example: titler learn-ordering
    """
    if default:
        stage_runs.use_default_ordering(context())
    elif not stage_runs.learn_ordering(context()):
        raise typer.Exit(skip_code)


@app.command()
def plan(
    release: Annotated[
        str | None,
        typer.Option(
            "--release", metavar="RELEASE", help="Name of the new release. The default is the current time."
        ),
    ] = None,
    skip_code: Annotated[
        int,
        typer.Option(
            help="Exit code if no release is needed. A scheduler, such as Airflow, can then skip the task."
        ),
    ] = 0,
) -> None:
    """Create a release: record which model (the champion) and which data of every cleaned day it uses. If
    nothing is new since the last release, no release is created.

    Example: titler plan --release 20150104T031200Z
    """
    current = context()
    if stage_runs.plan(current, current.release(release or new_id())).plan is None:
        raise typer.Exit(skip_code)


@app.command()
def embed(release: ReleaseId) -> None:
    """Compute the embeddings of a release's issues. Embeddings that the same embedding network computed for
    an earlier release are reused.

    Example: titler embed --release 20150104T031200Z
    """
    stage_runs.embed(context(), context().release(release))


@app.command()
def predict(release: ReleaseId) -> None:
    """Predict the titles of a release's issues. Titles that the same model predicted for an earlier release
    are reused.

    Example: titler predict --release 20150104T031200Z
    """
    stage_runs.predict(context(), context().release(release))


@app.command()
def index(release: ReleaseId) -> None:
    """Build the nearest-neighbour index of a release, measure its recall, and store the similar issues of
    each new issue.

    Example: titler index --release 20150104T031200Z
    """
    stage_runs.index(context(), context().release(release))


@app.command()
def publish(
    release: ReleaseId,
    accept: AcceptFaults = None,
    because: Because = "",
) -> None:
    """Check a release. If it has no faults, make it the current release in one step.

    Example: titler publish --release 20150104T031200Z
    """
    acceptances = parse_acceptances(release, accept or [], because)
    stage_runs.publish(context(), context().release(release), acceptances)


@app.command()
def rollback(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="Name of a release that was published before.")
    ],
) -> None:
    """Make an earlier release current again in one step.

    That release stays current until a new release is published. `titler plan` creates no release with the
    same data, model and settings as a release that was rolled back.

    Example: titler rollback 20150103T031200Z
    """
    from pipeline.stages import publish as stage
    from pipeline.tracking import open_tracking

    current = context()
    record = stage.rollback(current.lake, current.settings, release)
    champion = open_tracking(current.settings, current.lake).champion()
    stage_reports.rolled_back(current.settings, record, champion)


@app.command()
def collect() -> None:
    """Remove old releases and models, and stored data that nothing uses any more. Keep as many published
    releases as the setting release.keep says, whatever their age. Keep everything else that is less than two
    days old. If commands are running, also keep whatever was written since the first of them began.

    Example: titler collect
    """
    stage_runs.collect(context())
