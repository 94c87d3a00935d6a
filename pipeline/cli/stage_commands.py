"""The verbs of the stages, in the order of the data's way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline import alerts
from pipeline.cli import console
from pipeline.cli.options import (
    Because,
    Day,
    Epochs,
    First,
    Json,
    Last,
    Model,
    ReleaseId,
    Variant,
    app,
    context,
    parse_day,
    parse_days,
)
from pipeline.contracts import TOKENS
from pipeline.errors import UsageError
from pipeline.lake.pinned import new_id


@app.command()
def extract(
    day: Day = None,
    first: First = None,
    last: Last = None,
    again: Annotated[bool, typer.Option("--again", help="Also days that are there.")] = False,
) -> None:
    """Read the hour files of source days: opened issues and the verdict on each day.

    Example: titler extract --from 2015-01-01 --to 2015-01-07
    """
    from pipeline.stages import extract as stage

    here = context()
    days = parse_days(day, first, last)
    with here.told("extract", days) as kept:
        outcome, health = stage.run(here.lake, here.settings, days, again=again)
        kept(outcome)
    console.extracted(here.lake, here.settings, outcome, health)
    alerts.tell_days(here.lake, here.settings.alerts, health)


@app.command()
def clean(day: Day = None, first: First = None, last: Last = None) -> None:
    """Clean and tokenize the issues of source days.

    Example: titler clean --day 2015-01-01
    """
    from pipeline.stages import clean as stage

    here = context()
    days = parse_days(day, first, last)
    with here.told("clean", days) as kept:
        outcome = kept(stage.run(here.lake, here.settings, [day.isoformat() for day in days]))
    console.batches(here.lake, "clean", outcome)


@app.command()
def vocab(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A name for the new model; default: the time now.")
    ] = None,
    first: First = None,
    last: Last = None,
    variant: Variant = None,
    epochs: Epochs = None,
    skip_code: Annotated[
        int, typer.Option(help="Exit code when no day at all is cleaned yet, for schedulers; 0: an error.")
    ] = 0,
) -> None:
    """Open a model: pin its days (all cleaned ones by default) and make its vocabularies.

    Example: titler vocab 20150104T031200Z --from 2015-01-01 --to 2015-01-03
    """
    from pipeline.stages import vocab as stage

    here = context()
    pinned = here.model(model or new_id())
    if skip_code and not here.lake.days(TOKENS.name):
        console.nothing_to_learn_from()
        raise typer.Exit(skip_code)
    since, until = (
        parse_day(text, option).isoformat() if text else None
        for text, option in ((first, "--from"), (last, "--to"))
    )
    with here.told("vocab", pinned) as kept:
        manifest = kept(
            stage.run(here.lake, here.settings, pinned, stage.Asked(since, until, variant, epochs))
        )
    console.vocabulary(here.lake, pinned.name, manifest)


@app.command()
def vectorize(
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="A model that was opened by `titler vocab`."),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="RELEASE", help="A release that was opened by `titler plan`."),
    ] = None,
) -> None:
    """Turn tokens into padded ids, for a model that trains or for a release.

    Example: titler vectorize --release 20150104T031200Z
    """
    from pipeline.stages import vectorize as stage

    here = context()
    if (model is None) == (release is None):
        raise UsageError("For a model or for a release?", "Give one of --model MODEL and --release RELEASE.")
    pinned = here.model(model) if model else here.release(release or "")
    with here.told("vectorize", pinned) as kept:
        outcome = kept(stage.run(here.lake, here.settings, pinned))
    console.batches(here.lake, "vectorize", outcome)


@app.command()
def train(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="The model; with --from-file a name for it, by default the file's."
        ),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="FILE",
            help="Make a model, vocabulary included, of JSON lines, Parquet or CSV.",
        ),
    ] = None,
    variant: Variant = None,
    epochs: Epochs = None,
) -> None:
    """Train a model on its vectors, or a new one on a file. A training that was killed goes on from its last checkpoint.

    Example: titler train --from-file issues.csv --epochs 3
    """
    here = context()
    if from_file is not None:
        from pipeline.cli import whole_job

        whole_job.learn(here.lake, here.settings, from_file, name=model, variant=variant, epochs=epochs)
        return
    if model is None:
        raise UsageError(
            "Which model?",
            "titler train MODEL trains one that `titler vocab` opened; titler train --from-file FILE makes one.",
        )
    if variant is not None or epochs is not None:
        raise UsageError(
            "A model's variant and epochs are fixed when it is opened.", "titler vocab --variant V --epochs N"
        )
    from pipeline.stages import train as stage

    pinned = here.model(model)
    with here.told("train", pinned) as kept:
        manifest = kept(stage.run(here.lake, here.settings, pinned, console.epoch))
    console.trained(here.lake, here.settings, model, manifest)


@app.command()
def evaluate(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="The model; default: the champion.")
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option("--from-file", metavar="FILE", help="Score on JSON lines, Parquet or CSV instead."),
    ] = None,
    other_uses: Annotated[
        bool,
        typer.Option(
            "--downstream",
            help="With --from-file: what its embeddings tell of labels and of days open, instead of titles.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Score a model's titles against the titles that authors wrote, or its embeddings on other questions.

    Example: titler evaluate --downstream --from-file issues.csv --json
    """
    here = context()
    if other_uses:
        from pipeline.stages import evaluate_downstream

        if from_file is None:
            raise UsageError(
                "--downstream needs a file: an issue that was just opened has no labels and was not closed.",
                "titler evaluate --downstream --from-file FILE of title, body and where there are repo, labels, created_at, closed_at",
            )
        console.downstream(evaluate_downstream.run(here.lake, here.settings, from_file, model), as_json)
        return
    from pipeline.stages import evaluate as stage

    if from_file is not None:
        figures = stage.from_file(here.lake, here.settings, from_file, model)
    else:
        pinned = here.model(model or stage.champion(here.lake, here.settings))
        with here.told("evaluate", pinned) as kept:
            figures = kept(stage.run(here.lake, here.settings, pinned))
    console.evaluated(figures, as_json)


@app.command()
def promote(
    model: Model,
    force: Annotated[bool, typer.Option("--force", help="Even if it is worse.")] = False,
    because: Because = "",
) -> None:
    """Make a model the champion, unless it is worse than the one there is.

    Example: titler promote 20150104T031200Z
    """
    from pipeline.stages import promote as stage

    here = context()
    if force != bool(because.strip()):
        raise UsageError(
            "--force needs a reason, and a reason needs --force.",
            f'titler promote {model} --force --because "..."',
        )
    pinned = here.model(model)
    with here.told("promote", pinned) as kept:
        result = kept(stage.run(here.lake, here.settings, pinned, force_because=because))
    console.promoted(result)


@app.command()
def plan(
    release: Annotated[
        str | None,
        typer.Option(
            "--release", metavar="RELEASE", help="A name for the new release; default: the time now."
        ),
    ] = None,
    skip_code: Annotated[
        int, typer.Option(help="Exit code when there is nothing to do, for schedulers.")
    ] = 0,
) -> None:
    """Open a release: pin the champion and every cleaned day. With nothing new it opens none.

    Example: titler plan --release 20150104T031200Z
    """
    from pipeline.stages import plan as stage

    here = context()
    pinned = here.release(release or new_id())
    with here.told("plan", pinned) as kept:
        planned = kept(stage.run(here.lake, here.settings, pinned))
    console.planned(pinned.name, planned)
    if planned.plan is None:
        raise typer.Exit(skip_code)


@app.command()
def embed(release: ReleaseId) -> None:
    """Embed the issues of a release that its model has not embedded yet.

    Example: titler embed --release 20150104T031200Z
    """
    from pipeline.stages import embed as stage

    here = context()
    pinned = here.release(release)
    with here.told("embed", pinned) as kept:
        outcome = kept(stage.run(here.lake, pinned))
    console.batches(here.lake, "embed", outcome)


@app.command()
def predict(release: ReleaseId) -> None:
    """Title the issues of a release that its model has not titled yet.

    Example: titler predict --release 20150104T031200Z
    """
    from pipeline.stages import predict as stage

    here = context()
    pinned = here.release(release)
    with here.told("predict", pinned) as kept:
        outcome = kept(stage.run(here.lake, pinned))
    console.batches(here.lake, "predict", outcome)


@app.command()
def index(release: ReleaseId) -> None:
    """Build a release's index, measure its recall and store new issues' neighbours.

    Example: titler index --release 20150104T031200Z
    """
    from pipeline.stages import index as stage

    here = context()
    pinned = here.release(release)
    with here.told("index", pinned) as kept:
        manifest = kept(stage.run(here.lake, pinned, here.settings.index))
    console.indexed(here.lake, manifest)


@app.command()
def publish(
    release: ReleaseId,
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", metavar="DATE", help="Take a collapsed day as it is; may be repeated."),
    ] = None,
    because: Because = "",
) -> None:
    """Audit a release and make it current in one step.

    Example: titler publish --release 20150104T031200Z
    """
    from pipeline.stages import publish as stage

    here = context()
    if bool(accept) != bool(because.strip()):
        raise UsageError(
            "--accept needs a reason, and a reason needs --accept.",
            f'titler publish --release {release} --accept DAY --because "..."',
        )
    accepted = {parse_day(day, "--accept").isoformat(): because for day in accept or []}
    pinned = here.release(release)
    with here.told("publish", pinned) as kept:
        row = kept(stage.run(here.lake, here.settings, pinned, accepted))
    console.published(here.settings, row)


@app.command()
def rollback(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="A release that was published before.")],
) -> None:
    """Make an earlier release current again, in one step. It stays so until a refresh finds something new.

    Example: titler rollback 20150103T031200Z
    """
    from pipeline.stages import publish as stage
    from pipeline.stages.train import tracking_of

    here = context()
    row = stage.rollback(here.lake, here.settings, release)
    console.rolled_back(here.settings, row, tracking_of(here.settings, here.lake).champion())


@app.command()
def collect() -> None:
    """Remove what no kept release, model in use or current day names; nothing younger than two days.

    Example: titler collect
    """
    from pipeline.stages import collect as stage

    here = context()
    console.collected(here.settings, stage.run(here.lake, here.settings))
