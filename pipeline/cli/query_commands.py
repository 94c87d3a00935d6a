"""The command `titler run`, which runs all stages, and commands that show results or check the setup."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline import alerts
from pipeline.cli import console, query_reports
from pipeline.cli.options import (
    Accept,
    Because,
    Day,
    Embedding,
    Epochs,
    First,
    Json,
    Last,
    Variant,
    app,
    context,
    parse_day,
    parse_days,
)
from pipeline.cli.similar_options import (
    DraftsFile,
    DraftTitle,
    Everywhere,
    IssueOrText,
    OfRepository,
    PerList,
    SameRepository,
    ShowAll,
    Since,
    check_query,
)
from pipeline.errors import ExitCode, TitlerError, UsageError
from pipeline.lake.forgotten import ForgottenList

MAX_BODY_BYTES = 4 * 65_536
"""Maximum size of a body. GitHub accepts 65,536 characters, and UTF-8 needs up to four bytes for each."""


@app.command()
def run(
    day: Day = None,
    first: First = None,
    last: Last = None,
    retrain: Annotated[
        bool, typer.Option("--train", help="Train a new model even if there is a champion (a model in use).")
    ] = False,
    variant: Variant = None,
    epochs: Epochs = None,
    embedding: Embedding = None,
    accept: Accept = False,
    because: Because = "",
) -> None:
    """Run all stages without Airflow: extract and clean days, train a model if there is none in use, and
    publish a release.

    Example: titler run --from 2015-01-01 --to 2015-01-01
    """
    from pipeline.cli import whole_job

    days = parse_days(day, first, last)
    if accept != bool(because.strip()):
        raise UsageError(
            "--accept and --because must be given together.",
            'For example: titler run ... --accept --because "..."',
        )
    whole_job.run(
        context(),
        days,
        retrain=retrain,
        variant=variant,
        epochs=epochs,
        embedding=embedding,
        accept_because=because,
    )


@app.command()
def status(day: Day = None, first: First = None, last: Last = None, as_json: Json = False) -> None:
    """Show how complete each source day is, which model is in use (the champion), and which release is
    current.

    Exits with code 1 if the current release is older than the setting alerts.stale_after_hours, or if
    the days, the model or the release cannot be read.

    Example: titler status --from 2015-01-01 --to 2015-01-31
    """
    from pipeline.serving import status as serving

    current = context()
    problems: dict[str, TitlerError] = {}
    value = serving.status(current.lake, current.settings, *_bounds(day, first, last), problems)
    listed = value["days"][-console.DAYS_LISTED :]
    incomplete = [] if as_json else [row["day"] for row in listed if row["verdict"] != "complete"]
    reasons = serving.verdict_reasons(current.lake, incomplete)
    query_reports.status(value, as_json, reasons, problems)
    if not as_json and (unfinished := ForgottenList.read(current.lake).unfinished):
        query_reports.unfinished_forgetting(unfinished)
    errors = list(problems.values())
    for error in errors[:-1]:
        console.error(str(error))
    if errors:
        raise errors[-1]
    if value["release"] and value["release"]["stale"]:
        query_reports.stale(value["release"], current.settings.alerts.stale_after_hours)
        raise typer.Exit(ExitCode.RETRYABLE)


def _bounds(day: str | None, first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """Returns the first and the last day to show, as YYYY-MM-DD. The first day is None if
    neither --day nor --from is given. The last day is None if neither --day nor --to is given.

    Raises UsageError in these cases:

    - The value of an option is not a day, or is a day in the future.
    - --from comes after --to.
    - --day is given together with --from or --to.
    """
    if day or (first and last):
        days = parse_days(day, first, last)
        return str(days[0]), str(days[-1])
    return str(parse_day(first, "--from")) if first else None, str(parse_day(last, "--to")) if last else None


@app.command()
def ready(day: Day = None, as_json: Json = False) -> None:
    """Check whether the source (GH Archive) already has the last hour of a day. If the warehouse is BigQuery,
    look for the hour in the day's table in BigQuery. Otherwise, look for an hour file with events. If the
    hour is missing, exit with code 75.

    Example: titler ready --day 2015-01-01
    """
    from pipeline.serving import source_checks

    value = source_checks.ready(context().settings, parse_days(day, None, None)[0])
    query_reports.ready(value, as_json)
    if not value["ready"]:
        raise typer.Exit(ExitCode.NOT_READY)


@app.command()
def cost(
    day: Day = None,
    first: First = None,
    last: Last = None,
    again: Annotated[
        bool, typer.Option("--again", help="Include the days that are already in the lake.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Estimate what extracting source days from BigQuery would cost. The estimate is free: it uses dry runs.

    Example: titler cost --from 2015-01-01 --to 2015-01-31
    """
    from pipeline.serving import source_checks

    current = context()
    days = parse_days(day, first, last)
    value = source_checks.cost(current.lake, current.settings, days, again)
    query_reports.cost(current.settings, value, as_json, again=again)


@app.command()
def title(
    body: Annotated[
        str, typer.Argument(metavar="BODY|-", help="Body of an issue. Use - to read it from standard input.")
    ],
    as_json: Json = False,
) -> None:
    """Suggest a title for an issue's body, with the model of the current release.

    Example: titler title "It crashes whenever I open the settings page on Android 5"
    """
    from pipeline.serving import queries

    query_reports.title(queries.title(context().lake, _read_text(body, "titler title")), as_json)


@app.command()
def similar(
    query: IssueOrText = None,
    from_file: DraftsFile = None,
    neighbours: PerList = 10,
    draft_title: DraftTitle = None,
    repo: OfRepository = None,
    same_repo: SameRepository = False,
    everywhere: Everywhere = False,
    since: Since = None,
    show_all: ShowAll = False,
    as_json: Json = False,
) -> None:
    """Find issues of the current release that probably report the same problem as an issue or a text.

    For an issue, prints two lists of similar issues: one from its own repository, and one from all
    repositories. Both lists may have issues that are newer than the issue itself. The view similar_issues has
    only older ones. For a text or for each row of a file, prints one list. It has issues of all repositories,
    unless an option chooses one repository. Each similar issue has a probability: how likely it is that a
    maintainer would call the two issues duplicates.

    Example: titler similar "crash when opening the settings page" --repo OWNER/REPO
    """
    from pipeline.serving import queries, similar_drafts

    current, first_day = context(), parse_day(since, "--since") if since else None
    check_query(query, from_file, draft_title)
    if from_file is not None:
        scope = similar_drafts.SearchScope(repo, same_repo, everywhere, first_day)
        drafts = similar_drafts.similar_of_file(current.lake, current.settings, from_file, scope, neighbours)
        query_reports.similar_of_file(drafts, as_json, show_all=show_all)
        return
    similar_query = queries.SimilarQuery(
        _read_text(query or "", "titler similar"), draft_title, repo, same_repo, everywhere, first_day
    )
    rows = queries.similar(current.lake, current.settings, similar_query, neighbours)
    query_reports.similar(rows, as_json, show_all=show_all)


@app.command()
def export(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder to write issues.ann and ids.parquet into.")
    ],
    release: Annotated[
        str | None,
        typer.Option(
            "--release", metavar="RELEASE", help="Name of a release. The default is the current one."
        ),
    ] = None,
    first: First = None,
    last: Last = None,
) -> None:
    """Write the vectors of a release as one Annoy index, for other programs. issues.ann has the vectors, and
    ids.parquet says to which issue each vector belongs.

    Example: titler export index --from 2015-01-01 --to 2015-12-31
    """
    from pipeline.index.export import export_index
    from pipeline.releases.current import require_current

    current = context()
    selected = current.release(release) if release else require_current(current.lake)
    since = parse_day(first, "--from") if first else None
    until = parse_day(last, "--to") if last else None
    items = export_index(selected, current.settings.index, folder, since, until)
    query_reports.exported(selected.name, folder, items)


def _read_text(argument: str, example: str) -> str:
    """Returns the text of an argument. If the argument is `-`, returns the text of standard input.

    Bytes that are not UTF-8 become U+FFFD. Raises UsageError if the text has more than MAX_BODY_BYTES bytes
    or contains NUL bytes, because the body of an issue cannot be such a text. `example` is the command that
    the error suggests.
    """
    if argument == "-":
        data = sys.stdin.buffer.read(MAX_BODY_BYTES + 1)
    else:
        data = argument.encode(errors="surrogateescape")
    if len(data) > MAX_BODY_BYTES:
        raise UsageError(
            f"The text has more than {MAX_BODY_BYTES:,} bytes. The body of an issue cannot have so many: "
            "GitHub accepts at most 65,536 characters of up to 4 bytes each.",
            f"Give only the beginning of the text: head -c 65536 FILE | {example} -",
        )
    if b"\0" in data:
        raise UsageError(
            "The text contains NUL bytes. It is probably encoded in UTF-16, but UTF-8 is expected.",
            f"Convert the text: iconv -f UTF-16 -t UTF-8 FILE | {example} -",
        )
    return data.decode("utf-8", errors="replace")


@app.command()
def sample(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the hour files into.")],
    days: Annotated[
        int,
        typer.Option(
            min=1,
            max=366,
            help="Number of days to generate. One hour of the last day is missing on purpose. Samples of "
            "different lengths use the same ids for different issues, so do not mix them.",
        ),
    ] = 2,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed. The same seed always generates the same files.")
    ] = 0,
) -> None:
    """Write generated hour files in GH Archive's format, with malformed lines and other faults that real hour
    files have.

    Example: titler sample hours --days 2
    """
    from pipeline import sample as generator

    query_reports.sampled(generator.write(directory, days=days, seed=seed))


@app.command()
def alert(
    what: Annotated[
        str,
        typer.Option("--what", metavar="TEXT", help="Text of the alert: one line that says what happened."),
    ],
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Time at which the problem began. The default is the current time.",
        ),
    ] = "",
    link: Annotated[
        str,
        typer.Option(
            "--link",
            metavar="URL",
            help="Address of a page with more information. The default is the setting alerts.link.",
        ),
    ] = "",
    next_command: Annotated[
        str, typer.Option("--next", metavar="COMMAND", help="Command that the recipient should type next.")
    ] = "titler status",
    dedupe: Annotated[
        str,
        typer.Option(
            "--dedupe",
            metavar="KEY",
            help="Key that identifies the event. If an alert with the same key was sent before, no alert is "
            "sent.",
        ),
    ] = "",
) -> None:
    """Send an alert to the log, to a webhook or by email, depending on the setting alerts.kind.

    Example: titler alert --what "This is a test" --next "titler status"
    """
    current = context()
    settings = current.settings.alerts
    message = alerts.Message(
        " ".join(what.split()), since or alerts.time_text(), link or settings.link, next_command
    )
    sent_before = bool(dedupe) and alerts.was_sent(current.lake, dedupe)
    if not sent_before:
        if dedupe:
            sent = alerts.send_once(current.lake, settings, message, dedupe)
        else:
            sent = alerts.send(settings, message)
        if not sent:
            raise typer.Exit(ExitCode.RETRYABLE)
    query_reports.alert_sent(settings.kind, sent_before)


@app.command()
def doctor() -> None:
    """Check settings, packages, lake, source, Dask, MLflow and warehouse, and print how to correct each
    problem.

    Example: titler doctor
    """
    from pipeline.cli import doctor as checks

    if not query_reports.doctor(checks.run(context().settings)):
        raise typer.Exit(ExitCode.RETRYABLE)
