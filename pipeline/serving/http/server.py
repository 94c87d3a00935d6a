"""Runs the application with uvicorn, until the process gets SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import uvicorn

from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.serving.http.app import make_app
from pipeline.serving.http.gate import is_loopback
from pipeline.settings import Settings

BACKLOG = 256
"""Number of connections that the system accepts before the server does."""


def serve(lake: Lake, settings: Settings, host: str, port: int, report: Callable[[str], None]) -> None:
    """Answers requests at `host` and `port` until the process gets SIGTERM or SIGINT. Then finishes the
    requests that have already begun, and returns. Calls `report` with the server's address as soon as the
    server accepts requests.

    The port 0 stands for any free port. Raises UsageError if the server must not listen at this address (see
    `check_host`), or cannot listen there.
    """
    check_host(host, bool(settings.serve.token.get_secret_value()))
    listener = listen(host, port)
    config = uvicorn.Config(
        make_app(lake, settings),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        # A request waits, and then is computed, for at most the timeout each.
        timeout_graceful_shutdown=int(2 * settings.serve.timeout_seconds) + 1,
    )
    server = _Server(config, lambda: report(_address(listener)))
    # uvicorn repeats the signal that ended it. By then all requests are answered, so this is no failure.
    earlier_handlers = {name: signal.signal(name, signal.SIG_IGN) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run([listener])
    finally:
        for name, handler in earlier_handlers.items():
            signal.signal(name, handler)


class _Server(uvicorn.Server):
    """A server that reports when it accepts requests."""

    def __init__(self, config: uvicorn.Config, report: Callable[[], None]) -> None:
        super().__init__(config)
        self._report = report

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._report()


def check_host(host: str, has_token: bool) -> None:
    """Raises UsageError if the server has no token and `host` is not a loopback address. Otherwise everybody
    who can reach this machine could use the server."""
    if not has_token and not is_loopback(host):
        raise UsageError(
            f"--host {host} is not a loopback address, and the setting serve.token is empty. Everybody "
            "who can reach this machine could use the server.",
            'Set a token: export TITLER_SERVE__TOKEN="$(openssl rand -hex 32)"\n'
            "Or answer only requests from this machine: titler serve",
        )


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens. Raises UsageError if the address cannot be used."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(
            f"The server cannot listen on {host}, port {port}: {reason}.",
            "Give another address or port: titler serve --host 127.0.0.1 --port 8001",
        ) from None


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
