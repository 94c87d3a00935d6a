"""The command `titler serve`, which starts the HTTP server."""

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
            help="Address to listen on. An address that is not a loopback address requires the "
            "setting serve.token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on. 0 stands for any free port.")
    ] = 8000,
) -> None:
    """Start an HTTP server that returns titles, similar issues, and what is stored about an issue. It answers
    from the current release, and changes to a later release when that is published. On SIGTERM or Ctrl-C, it
    answers the requests that have begun, and stops.

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
        lambda address: say(f"Titler answers at {address}. A page to try it: {_page(address)}"),
    )
    say("The server has answered all requests that had begun, and has stopped.")


def _page(address: str) -> str:
    """Returns the address of the server's page on this machine. A browser cannot open 0.0.0.0 and [::], which
    stand for all addresses of the machine."""
    return f"{address.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')}/"
