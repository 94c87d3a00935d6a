"""`titler`: one verb a stage, and the verbs that answer. The only place that builds Settings and configures logging."""

from __future__ import annotations

import logging
import os
import sys
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import console, settings
from pipeline.errors import TitlerError, UsageError
from pipeline.lake import Lake
from pipeline.pins import Pinned, check_days, new_id

INTERRUPTED = 130
app = typer.Typer(
    name="titler",
    help="GitHub's public issues as a nightly data product: titles, embeddings, similar issues.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Day = Annotated[str | None, typer.Option("--day", metavar="DATE", help="One source day, for example 2015-01-01.")]
First = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First source day.")]
Last = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last source day, included.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
ReleaseId = Annotated[str, typer.Option("--release", metavar="RELEASE", help="The release, by the name it was planned under.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model, by the name it was opened under.")]
Variant = Annotated[str | None, typer.Option(help="The network; default: the setting model.variant.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="At most so many epochs; default: the setting model.epochs.")]
Because = Annotated[str, typer.Option("--because", metavar="REASON", help="Why; it is recorded.")]


class Context:
    """What every verb works with. Settings are read when first asked for, so that `--help` never fails."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._settings: settings.Settings | None = None

    @property
    def settings(self) -> settings.Settings:
        if self._settings is None:
            self._settings = settings.load(self._path)
        return self._settings

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake.root)

    def model(self, name: str) -> Pinned:
        return Pinned(self.lake, "models", name)

    def release(self, name: str) -> Pinned:
        return Pinned(self.lake, "releases", name)


_CONTEXT: ContextVar[Context] = ContextVar("context")


def _context() -> Context:
    return _CONTEXT.get()


def parse_day(text: str, option: str) -> date:
    """A day as it was typed. Raises UsageError for anything but a past day written YYYY-MM-DD."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: not a day.", "Days are written YYYY-MM-DD, for example 2015-01-01.") from None
    if day > date.today():
        raise UsageError(f"{option} {text} is in the future; today is {date.today()}.", "Ask for days that are over.")
    return day


def parse_days(day: str | None, first: str | None, last: str | None) -> list[date]:
    """The days asked for, by --day or by --from and --to. Raises UsageError for neither, for both, and for a range backwards."""
    if day and not first and not last:
        return [parse_day(day, "--day")]
    if day or not (first and last):
        raise UsageError("Which days?", "Give --day 2015-01-01, or --from 2015-01-01 --to 2015-01-07.")
    start, stop = parse_day(first, "--from"), parse_day(last, "--to")
    if start > stop:
        raise UsageError(f"--from {start} comes after --to {stop}.", f"Turn them round: --from {stop} --to {start}")
    return [date.fromordinal(number) for number in range(start.toordinal(), stop.toordinal() + 1)]


@app.callback()
def configure(
    settings_file: Annotated[Path | None, typer.Option("--settings", metavar="FILE", help="A TOML file with what differs from a laptop.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Reads nothing yet; says where settings come from."""
    _CONTEXT.set(Context(settings_file))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


@app.command()
def extract(day: Day = None, first: First = None, last: Last = None, again: Annotated[bool, typer.Option("--again", help="Also days that are there.")] = False) -> None:
    """Read the hour files of source days: opened issues and the verdict on each day.

    Example: titler extract --from 2015-01-01 --to 2015-01-07
    """
    from pipeline.stages import extract as stage

    context = _context()
    outcome, health = stage.run(context.lake, context.settings, parse_days(day, first, last), again=again)
    console.extracted(context.lake, outcome, health)


@app.command()
def clean(day: Day = None, first: First = None, last: Last = None) -> None:
    """Clean and tokenize the issues of source days.

    Example: titler clean --day 2015-01-01
    """
    from pipeline.stages import clean as stage

    context = _context()
    outcome = stage.run(context.lake, context.settings, [day.isoformat() for day in parse_days(day, first, last)])
    console.batches(context.lake, "clean", outcome)


def _bounds(first: str | None, last: str | None) -> list[str]:
    if first and last:
        parse_days(None, first, last)
    bounds = [str(parse_day(text, option)) if text else None for text, option in ((first, "--from"), (last, "--to"))]
    return check_days(_context().lake, *bounds)


@app.command()
def vocab(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="A name for the new model; default: the time now.")] = None,
    first: First = None,
    last: Last = None,
    variant: Variant = None,
    epochs: Epochs = None,
) -> None:
    """Open a model: pin its days (all cleaned ones by default) and make its vocabularies.

    Example: titler vocab 20150104T031200Z --from 2015-01-01 --to 2015-01-03
    """
    from pipeline.stages import vocab as stage

    context = _context()
    chosen = context.settings.model
    pinned = context.model(model or new_id())
    days = [] if pinned.is_open() else _bounds(first, last)
    manifest = stage.run(context.lake, context.settings, pinned, days, {"variant": variant or chosen.variant, "epochs": epochs or chosen.epochs})
    console.vocabulary(context.lake, pinned.name, manifest)


@app.command()
def vectorize(
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="A model that was opened by `titler vocab`.")] = None,
    release: Annotated[str | None, typer.Option("--release", metavar="RELEASE", help="A release that was opened by `titler plan`.")] = None,
) -> None:
    """Turn tokens into padded ids, for a model that trains or for a release.

    Example: titler vectorize --release 20150104T031200Z
    """
    from pipeline.stages import vectorize as stage

    context = _context()
    if (model is None) == (release is None):
        raise UsageError("For a model or for a release?", "Give one of --model MODEL and --release RELEASE.")
    pinned = context.model(model) if model else context.release(release or "")
    console.batches(context.lake, "vectorize", stage.run(context.lake, context.settings, pinned))


@app.command()
def train(model: Model) -> None:
    """Train a model on its vectors; a training that was killed goes on from its last checkpoint.

    Example: titler train 20150104T031200Z
    """
    from pipeline.stages import train as stage

    context = _context()
    manifest = stage.run(context.lake, context.settings, context.model(model))
    console.trained(context.lake, context.settings, model, manifest)


@app.command()
def evaluate(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="The model; default: the champion.")] = None,
    from_file: Annotated[Path | None, typer.Option("--from-file", metavar="FILE", help="Score the champion on JSON lines, Parquet or CSV instead.")] = None,
    as_json: Json = False,
) -> None:
    """Score a model's titles against the titles that authors wrote.

    Example: titler evaluate --from-file issues.csv --json
    """
    from pipeline.stages import evaluate as stage

    context = _context()
    if from_file is not None:
        if model is not None:
            raise UsageError("--from-file scores the champion, not a model by name.", f"titler evaluate --from-file {from_file}")
        figures = stage.from_file(context.lake, context.settings, from_file)
    else:
        figures = stage.run(context.lake, context.settings, context.model(model or stage.champion(context.lake, context.settings)))
    console.evaluated(figures, as_json)


@app.command()
def promote(model: Model, force: Annotated[bool, typer.Option("--force", help="Even if it is worse.")] = False, because: Because = "") -> None:
    """Make a model the champion, unless it is worse than the one there is.

    Example: titler promote 20150104T031200Z
    """
    from pipeline.stages import promote as stage

    context = _context()
    if force != bool(because):
        raise UsageError("--force needs a reason, and a reason needs --force.", f'titler promote {model} --force --because "..."')
    console.promoted(stage.run(context.lake, context.settings, context.model(model), force_because=because))


@app.command()
def plan(
    release: Annotated[str | None, typer.Option("--release", metavar="RELEASE", help="A name for the new release; default: the time now.")] = None,
    skip_code: Annotated[int, typer.Option(help="Exit code when there is nothing to do, for schedulers.")] = 0,
) -> None:
    """Open a release: pin the champion and every cleaned day. With nothing new it opens none.

    Example: titler plan --release 20150104T031200Z
    """
    from pipeline.stages import plan as stage

    context = _context()
    pinned = context.release(release or new_id())
    planned = stage.run(context.lake, context.settings, pinned)
    console.planned(pinned.name, planned)
    if planned.plan is None:
        raise typer.Exit(skip_code)


@app.command()
def embed(release: ReleaseId) -> None:
    """Embed the issues of a release that its model has not embedded yet.

    Example: titler embed --release 20150104T031200Z
    """
    from pipeline.stages import embed as stage

    context = _context()
    console.batches(context.lake, "embed", stage.run(context.lake, context.release(release)))


@app.command()
def predict(release: ReleaseId) -> None:
    """Title the issues of a release that its model has not titled yet.

    Example: titler predict --release 20150104T031200Z
    """
    from pipeline.stages import predict as stage

    context = _context()
    console.batches(context.lake, "predict", stage.run(context.lake, context.release(release)))


@app.command()
def index(release: ReleaseId) -> None:
    """Build a release's index, measure its recall and store new issues' neighbours.

    Example: titler index --release 20150104T031200Z
    """
    from pipeline.stages import index as stage

    context = _context()
    console.indexed(context.lake, stage.run(context.lake, context.release(release), context.settings.index))


@app.command()
def publish(
    release: ReleaseId,
    accept: Annotated[list[str] | None, typer.Option("--accept", metavar="DATE", help="Take a collapsed day as it is; may be repeated.")] = None,
    because: Because = "",
) -> None:
    """Audit a release and make it current in one step.

    Example: titler publish --release 20150104T031200Z
    """
    from pipeline.stages import publish as stage

    context = _context()
    if bool(accept) != bool(because.strip()):
        raise UsageError("--accept needs a reason, and a reason needs --accept.", f'titler publish --release {release} --accept DAY --because "..."')
    accepted = {parse_day(day, "--accept").isoformat(): because for day in accept or []}
    row = stage.run(context.lake, context.settings, context.release(release), accepted)
    console.published(context.settings, row)


@app.command()
def rollback(release: Annotated[str, typer.Argument(metavar="RELEASE", help="A release that was published before.")]) -> None:
    """Make an earlier release current again, in one step.

    Example: titler rollback 20150103T031200Z
    """
    from pipeline.stages import publish as stage

    context = _context()
    console.published(context.settings, stage.rollback(context.lake, context.settings, release))


@app.command()
def collect() -> None:
    """Remove what no kept release, model in use or current day names; nothing younger than two days.

    Example: titler collect
    """
    from pipeline.stages import collect as stage

    context = _context()
    console.collected(context.settings, stage.run(context.lake, context.settings))


@app.command()
def run(
    day: Day = None,
    first: First = None,
    last: Last = None,
    retrain: Annotated[bool, typer.Option("--train", help="Train a new model though there is a champion.")] = False,
    variant: Variant = None,
    epochs: Epochs = None,
) -> None:
    """The whole job without Airflow: extract, clean, train if there is no champion, then plan to publish.

    Example: titler run --from 2015-01-01 --to 2015-01-01
    """
    from pipeline import job

    context = _context()
    days = parse_days(day, first, last)
    job.run(context.lake, context.settings, days, retrain=retrain, variant=variant, epochs=epochs)


@app.command()
def status(day: Day = None, first: First = None, last: Last = None, as_json: Json = False) -> None:
    """What is there: source days with their verdicts, the champion, the current release.

    Example: titler status --from 2015-01-01 --to 2015-01-31
    """
    from pipeline import answers

    context = _context()
    for text, option in ((day, "--day"), (first, "--from"), (last, "--to")):
        if text:
            parse_day(text, option)
    console.status(answers.status(context.lake, context.settings, day or first, day or last), as_json)


@app.command()
def title(body: Annotated[str, typer.Argument(metavar="BODY|-", help="An issue's body; - reads standard input.")], as_json: Json = False) -> None:
    """A title for a body, by the current release's model.

    Example: titler title "It crashes whenever I open the settings page on Android 5"
    """
    from pipeline import answers

    console.title(answers.title(_context().lake, _read(body)), as_json)


@app.command()
def similar(
    query: Annotated[str, typer.Argument(metavar="URL|TEXT|-", help="An issue of the release by its URL, or any text; - reads standard input.")],
    neighbours: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many.")] = 10,
    as_json: Json = False,
) -> None:
    """The issues of the current release that are nearest to an issue or a text.

    Example: titler similar "crash when opening the settings page" -k 5
    """
    from pipeline import answers

    context = _context()
    console.similar(answers.similar(context.lake, context.settings, _read(query), neighbours), as_json)


def _read(text: str) -> str:
    return sys.stdin.buffer.read().decode("utf-8", errors="replace") if text == "-" else text


@app.command()
def sample(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write hour files into.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same bytes.")] = 0,
) -> None:
    """Write the generated sample: days of GH-Archive-shaped hour files, quirks included.

    Example: titler sample hours --days 2
    """
    from pipeline import sample as stage

    console.sampled(stage.write(directory, days=days, seed=seed))


@app.command()
def doctor() -> None:
    """What is configured, installed and reachable, and what to do about the rest.

    Example: titler doctor
    """
    from pipeline import doctor as checks

    if not console.doctor(checks.run(_context().settings)):
        raise typer.Exit(1)


def main() -> None:
    """Runs the command line. Exit codes: 0 done, 1 failure, 2 misuse; an error is one clear line, its traceback with --debug."""
    arguments: list[Any] = sys.argv[1:]
    debug = "--debug" in arguments
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notes
    try:
        code = app(args=arguments, standalone_mode=False)
    except TitlerError as error:
        if debug:
            raise
        console.error(str(error))
        code = error.exit_code
    except typer.TyperException as error:
        console.error(f"{error.format_message()}\nWhat there is: titler --help, titler VERB --help")
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        if debug:
            raise
        console.error(f"Unexpected {type(error).__name__}: {error}\nThis is a fault of Titler's. See where it happened: titler --debug {' '.join(arguments)}")
        code = 1
    if code == INTERRUPTED:
        console.error("Interrupted; the same command goes on where it was.")
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
