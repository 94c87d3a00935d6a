"""The command `titler report`, and the report that `titler publish` writes."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import alerts
from pipeline.cli import console
from pipeline.cli.options import Context, app, context
from pipeline.errors import TitlerError, UsageError, disk_error
from pipeline.lake.forgotten import refuse_while_forgetting
from pipeline.lake.leases import hold_lease
from pipeline.lake.pinned import Pinned
from pipeline.progress import say
from pipeline.settings import public_address
from pipeline.telemetry import step
from pipeline.tracking import mlflow_error, open_tracking

if TYPE_CHECKING:
    from pipeline.serving.report.stored_report import Report


@app.command()
def report(
    release: Annotated[
        str | None,
        typer.Argument(
            metavar="[RELEASE]", help="Name of a published release. The default is the current one."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="File to write the page to. The default is the file report.html beside the release's record "
            "in the lake.",
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write a page about a release: what is in it, how complete its days are, its checks, samples of titles
    and similar issues, and how it differs from the previous release. Print the page's path.

    `titler publish` writes the same page. The page is one HTML file and needs no network. Without --out, the
    release and its page are also logged to MLflow.

    Example: titler report --out report.html --open
    """
    from pipeline.releases.current import require_current

    current = context()
    selected = current.release(release) if release else require_current(current.lake)
    if open_page and out is None and "://" in current.lake.root:
        raise UsageError(
            f"The lake {current.lake.root} is not on this machine, so a browser cannot open its files.",
            f"Name a file to write the page to: titler report {selected.name} --out report.html --open",
        )
    path = _write(current, selected, out)
    if open_page and not webbrowser.open(Path(path).absolute().as_uri()):
        raise UsageError(f"No browser could be started to open {path}.", "Open this file yourself.")


def _write(current: Context, release: Pinned, out: Path | None) -> str:
    """Writes the report to the file `out`. If `out` is None, writes the report into the lake and logs it to
    MLflow. Prints and returns the path of the report."""
    from pipeline.serving.report import stored_report

    if out is None:
        release.require_open()  # a lease would create the folder of the lake
        with hold_lease(current.lake, "report", release.name):
            refuse_while_forgetting(current.lake)
            report = stored_report.write_report(current.settings, release)
            say(report.path)  # first, because MLflow may not answer
            _log_to_mlflow(current, release, report)
            return report.path
    page = stored_report.report_bytes(current.settings, release)
    try:
        out.write_bytes(page)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror or error}.",
            f"Give another file: titler report {release.name} --out report.html",
        ) from None
    say(str(out))
    return str(out)


def write_after_publication(current: Context, release: Pinned) -> None:
    """Writes the report about a published release, prints the report's path, and logs the release and the
    report to MLflow.

    If this fails, no error is raised, because the publication itself has succeeded. Instead, prints the
    reason and the command to type next. Also sends an alert, because a scheduler does not show the output of
    a task that succeeds.
    """
    name, command = release.name, f"titler report {release.name}"
    write = _Step("report", f"Release {name} is published, but its report could not be written", command)
    log = _Step("mlflow", f"Release {name} is published, but it could not be logged to MLflow", command)
    with _reported(current, release, write):
        with step("report"):
            from pipeline.serving.report import stored_report  # which takes seconds

            report = stored_report.write_report(current.settings, release)
        say(f"    report: {report.path}")
        with _reported(current, release, log), step("MLflow"):
            run_id = _log_to_mlflow(current, release, report)
            say(f"    MLflow run {run_id} -> {public_address(current.settings.tracking_uri)}")


def _log_to_mlflow(current: Context, release: Pinned, report: Report) -> str:
    """Logs a release to MLflow: its figures as metrics, and its report as an artifact. If the release already
    has an MLflow run, continues that run. Returns the id of the run."""
    from pipeline.serving.report.release_metrics import release_metrics, release_parameters

    values = report.values
    description = (
        f"{values.issues:,} issues of {values.days:,} source days, {values.first_day} to {values.last_day}. "
        "The artifact `report.html` is the page about the release."
    )
    tracking = open_tracking(current.settings, current.lake)
    with tracking.release_run(release.name, release_parameters(values), description) as run:
        run.log_metrics(release_metrics(values))
        run.log_text("report.html", report.page.encode("utf-8", "replace").decode())
    return run.id


@dataclass(frozen=True)
class _Step:
    """A step that follows the publication of a release.

    - `name`: the last part of the key of the alert that is sent if the step fails
    - `failure`: the message that is printed if the step fails
    - `command`: the command that repeats the step
    """

    name: str
    failure: str
    command: str


@contextmanager
def _reported(current: Context, release: Pinned, step: _Step) -> Iterator[None]:
    """If the `with` block raises an error, prints the error and sends an alert. The error is not raised
    again."""
    try:
        yield
    except Exception as error:
        explained = error if isinstance(error, TitlerError) else disk_error(error) or mlflow_error(error)
        reason = explained.message if explained else f"{type(error).__name__}: {error}"
        hint = explained.hint if explained else step.command.replace("titler", "titler --debug", 1)
        summary = f"{step.failure}: {reason}"
        console.error(f"{summary}\n{hint}\nThen type: {step.command}")
        next_lines = f"{hint}\n{step.command}"
        message = alerts.Message(
            " ".join(summary.split()), alerts.time_text(), current.settings.alerts.link, next_lines
        )
        no_task = current.settings.alerts.model_copy(update={"task": ""})  # the task does not fail
        alerts.send_once(current.lake, no_task, message, f"release/{release.name}/{step.name}")
