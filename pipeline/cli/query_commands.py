"""The whole job, and the verbs that answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline import alerts
from pipeline.cli import console
from pipeline.cli.options import Day, Epochs, First, Json, Last, Variant, app, context, parse_day, parse_days
from pipeline.errors import UsageError

NOT_YET = os.EX_TEMPFAIL  # 75: ask again later
LONGEST_BODY = 4 * 65_536  # bytes: GitHub takes so many characters, and UTF-8 has up to four a character


@app.command()
def run(
    day: Day = None,
    first: First = None,
    last: Last = None,
    retrain: Annotated[
        bool, typer.Option("--train", help="Train a new model though there is a champion.")
    ] = False,
    variant: Variant = None,
    epochs: Epochs = None,
) -> None:
    """The whole job without Airflow: extract, clean, train if there is no champion, then plan to publish.

    Example: titler run --from 2015-01-01 --to 2015-01-01
    """
    from pipeline.cli import whole_job

    here = context()
    days = parse_days(day, first, last)
    whole_job.run(here.lake, here.settings, days, retrain=retrain, variant=variant, epochs=epochs)


@app.command()
def status(day: Day = None, first: First = None, last: Last = None, as_json: Json = False) -> None:
    """What is there: source days with their verdicts, the champion, the current release. Exits 1 where the release is too old.

    Example: titler status --from 2015-01-01 --to 2015-01-31
    """
    from pipeline.serving import queries

    here = context()
    value = queries.status(here.lake, here.settings, *_bounds(day, first, last))
    shown = [
        found["day"] for found in value["days"][-console.DAYS_LISTED :] if found["verdict"] != "complete"
    ]
    console.status(value, as_json, {} if as_json else queries.reasons(here.lake, shown))
    if value["release"] and value["release"]["stale"]:
        console.stale(value["release"], here.settings.alerts.stale_after_hours)
        raise typer.Exit(1)


def _bounds(day: str | None, first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """The first and the last day to show, in ISO form; --from or --to alone leaves the other open. Raises UsageError as `parse_days`."""
    if day or (first and last):
        days = parse_days(day, first, last)
        return str(days[0]), str(days[-1])
    return str(parse_day(first, "--from")) if first else None, str(parse_day(last, "--to")) if last else None


@app.command()
def ready(day: Day = None, as_json: Json = False) -> None:
    """Whether the source has a day's last hour: its file, or that hour in BigQuery. Exits 75 where it does not yet.

    Example: titler ready --day 2015-01-01
    """
    from pipeline.serving import queries

    value = queries.ready(context().settings, parse_days(day, None, None)[0])
    console.ready(value, as_json)
    if not value["ready"]:
        raise typer.Exit(NOT_YET)


@app.command()
def cost(day: Day = None, first: First = None, last: Last = None, as_json: Json = False) -> None:
    """What extracting source days from BigQuery would cost. Dry runs alone: nothing is read, nothing is billed.

    Example: titler cost --from 2015-01-01 --to 2015-01-31
    """
    from pipeline.serving import queries

    here = context()
    console.cost(here.settings, queries.cost(here.lake, here.settings, parse_days(day, first, last)), as_json)


@app.command()
def title(
    body: Annotated[str, typer.Argument(metavar="BODY|-", help="An issue's body; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """A title for a body, by the current release's model.

    Example: titler title "It crashes whenever I open the settings page on Android 5"
    """
    from pipeline.serving import queries

    console.title(queries.title(context().lake, _read(body, "titler title")), as_json)


@app.command()
def similar(
    query: Annotated[
        str,
        typer.Argument(
            metavar="URL|TEXT|-",
            help="An issue of the release by its URL, or any text; - reads standard input.",
        ),
    ],
    neighbours: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many.")] = 10,
    as_json: Json = False,
) -> None:
    """The issues of the current release that are nearest to an issue or a text.

    Example: titler similar "crash when opening the settings page" -k 5
    """
    from pipeline.serving import queries

    here = context()
    console.similar(
        queries.similar(here.lake, here.settings, _read(query, "titler similar"), neighbours), as_json
    )


def _read(text: str, example: str) -> str:
    """What was given as an argument or stands on standard input; half a character becomes U+FFFD.

    Raises UsageError for what is no issue's text: longer than LONGEST_BODY, or with NUL bytes. `example` is the verb to type.
    """
    data = sys.stdin.buffer.read(LONGEST_BODY + 1) if text == "-" else text.encode(errors="surrogateescape")
    if len(data) > LONGEST_BODY:
        raise UsageError(
            f"The text is longer than {LONGEST_BODY:,} bytes, expected an issue's: GitHub takes 65,536 characters.",
            f"Give its beginning: head -c 65536 FILE | {example} -",
        )
    if b"\0" in data:
        raise UsageError(
            "The text holds NUL bytes, expected UTF-8.",
            f"Turn it into that: iconv -f UTF-16 -t UTF-8 FILE | {example} -",
        )
    return data.decode("utf-8", errors="replace")


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
def alert(
    what: Annotated[str, typer.Option("--what", metavar="TEXT", help="What happened, in one line.")],
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Since when; default: now.")] = "",
    link: Annotated[
        str, typer.Option("--link", metavar="URL", help="Where to look; default: the setting alerts.link.")
    ] = "",
    next_command: Annotated[
        str, typer.Option("--next", metavar="COMMAND", help="What to type next.")
    ] = "titler status",
    dedupe: Annotated[
        str,
        typer.Option("--dedupe", metavar="KEY", help="The event: sent once, however often it is repeated."),
    ] = "",
) -> None:
    """Send one message to whom the settings name: alerts.kind and what belongs to it.

    Example: titler alert --what "This is a test" --next "titler status"
    """
    here = context()
    settings = here.settings.alerts
    message = alerts.Message(
        " ".join(what.split()), since or alerts.now(), link or settings.link, next_command
    )
    told = bool(dedupe) and alerts.was_told(here.lake, dedupe)
    if not told and not (
        alerts.tell(here.lake, settings, message, dedupe) if dedupe else alerts.send(settings, message)
    ):
        raise typer.Exit(1)
    console.alerted(settings.kind, told)


@app.command()
def doctor() -> None:
    """What is configured, installed and reachable, and what to do about the rest.

    Example: titler doctor
    """
    from pipeline.cli import doctor as checks

    if not console.doctor(checks.run(context().settings)):
        raise typer.Exit(1)
