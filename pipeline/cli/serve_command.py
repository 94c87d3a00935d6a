"""The command `titler serve`, which answers over HTTP."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.cli.options import app, context
from pipeline.progress import say


@app.command()
def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen at. Another address than a loopback one needs the setting serve.token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen at. Set to 0 for any free port.")
    ] = 8000,
) -> None:
    """Answer over HTTP from the current release, and from each later one: titles, similar issues, and what is
    stored about an issue. Ends when it gets SIGTERM or Ctrl-C, after it has answered the requests that were
    begun.

    Example: titler serve --port 8000
    """
    from pipeline.serving.http import server

    logging.getLogger("pipeline.serving.http").setLevel(logging.INFO)
    current = context()
    server.serve(
        current.lake,
        current.settings,
        host,
        port,
        lambda address: say(f"Titler answers at {address}. A page to try it: {address}/"),
    )
    say("The server has ended: all requests that were begun are answered.")
