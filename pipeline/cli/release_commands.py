"""The commands that say how a release, and what it says of an issue, came about."""

from __future__ import annotations

from pipeline.cli import release_reports
from pipeline.cli.options import Json, app, context


@app.command()
def releases(as_json: Json = False) -> None:
    """List the releases of the lake, the newest first: their figures, what changed in each, and why one was
    not published.

    Example: titler releases
    """
    from pipeline.serving.releases import releases as all_releases

    release_reports.releases(all_releases(context().lake), as_json)
