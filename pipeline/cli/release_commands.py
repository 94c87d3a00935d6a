"""The commands `titler releases` and `titler explain`: how releases and their results were made."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli import explain_reports, release_reports
from pipeline.cli.options import Json, app, context


@app.command()
def releases(as_json: Json = False) -> None:
    """List the releases of the lake, the newest first. Shows the figures of each release and how it differs
    from the previous release. If a release was not published, shows the reason.

    Example: titler releases
    """
    from pipeline.serving.releases import releases as all_releases

    release_reports.releases(all_releases(context().lake), as_json)


@app.command()
def explain(
    issue: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS|ID",
            help="Address of an issue (URL or OWNER/REPO#NUMBER), or its id at GitHub.",
        ),
    ],
    release: Annotated[
        str | None,
        typer.Option(
            "--release", metavar="RELEASE", help="Name of a release. The default is the current one."
        ),
    ] = None,
    neighbours: Annotated[
        int, typer.Option("-k", min=0, max=100, help="Number of similar issues to explain.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Explain how one issue got its title and its similar issues in a release. Shows where the issue was read
    from, the batches of the lake that contain its rows, the model, the text that the model reads, the
    candidate titles, and how the probability of each similar issue was computed.

    Example: titler explain OWNER/REPO#123
    """
    from pipeline.serving import explain as serving

    current = context()
    value = serving.explain(current.lake, current.settings, issue, release, neighbours)
    explain_reports.explanation(value, as_json)
