"""The command `titler report`, and the report that `titler publish` writes."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pipeline import alerts
from pipeline.cli import console
from pipeline.cli.options import Context, app, context
from pipeline.errors import TitlerError, UsageError, disk_error
from pipeline.lake.forgotten import refuse_while_forgetting
from pipeline.lake.leases import hold_lease
from pipeline.lake.pinned import Pinned
from pipeline.progress import say


@app.command()
def report(
    release: Annotated[
        str | None,
        typer.Argument(metavar="[RELEASE]", help="Name of a published release. The default is the current."),
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
    and similar issues, and how it differs from the release before. Print the page's path.

    `titler publish` writes the same page. The page is one HTML file and needs no network.

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
    say(path)
    if open_page and not webbrowser.open(Path(path).absolute().as_uri()):
        raise UsageError(f"No browser could be started to open {path}.", "Open this file yourself.")


def _write(current: Context, release: Pinned, out: Path | None) -> str:
    """Writes the report to a file, or into the lake, and returns its path."""
    from pipeline.serving.report import stored_report

    if out is None:
        release.require_open()  # a lease would create the folder of the lake
        with hold_lease(current.lake, "report", release.name):
            refuse_while_forgetting(current.lake)
            return stored_report.write_report(current.settings, release)
    page = stored_report.report_bytes(current.settings, release)
    try:
        out.write_bytes(page)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror or error}.",
            f"Give another file: titler report {release.name} --out report.html",
        ) from None
    return str(out)


def write_after_publication(current: Context, release: Pinned) -> None:
    """Writes the report about a release that was just published, and prints its path.

    Readers see the release already, so no error is raised. If the report cannot be written, prints the reason
    and the command that writes it, and sends an alert, because a scheduler does not show the output of a task
    that succeeds.
    """
    command = f"titler report {release.name}"
    try:
        from pipeline.serving.report import stored_report

        say(f"    report: {stored_report.write_report(current.settings, release)}")
    except Exception as error:
        explained = error if isinstance(error, TitlerError) else disk_error(error)
        reason = explained.message if explained else f"{type(error).__name__}: {error}"
        hint = explained.hint if explained else f"titler --debug report {release.name}"
        summary = f"Release {release.name} is published, but its report could not be written: {reason}"
        console.error(f"{summary}\n{hint}\nThen write the report: {command}")
        message = alerts.Message(
            " ".join(summary.split()), alerts.time_text(), current.settings.alerts.link, f"{hint}\n{command}"
        )
        no_task = current.settings.alerts.model_copy(update={"task": ""})  # the task does not fail
        alerts.send_once(current.lake, no_task, message, f"release/{release.name}/report")
