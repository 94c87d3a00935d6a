"""Checks tokens, and limits the size and number of requests. Counts and logs every answered request."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.routing import Match

from pipeline.serving.http.metrics import RequestMetrics
from pipeline.serving.http.refusals import RefusalError, overloaded
from pipeline.serving.http.tasks import SERVER_FAULT
from pipeline.settings import Serve

log = logging.getLogger(__name__)
OPEN_PATH = "/health"
"""The only path that needs no token."""
MAX_REQUESTS = 256
"""Largest number of requests that are read, waiting or computed at the same time. Each may hold
`serve.max_request_bytes` in memory."""
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
MAX_DIGITS = 18
"""Largest number of digits of a size. Longer ones are too large in any case."""
UNKNOWN_PATH = "other"
"""The path of a request to a path that the server does not have, in metrics and log."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Gate:
    """The outermost layer of the application, which handles every request first. It logs no text of an issue,
    no query string and no token."""

    def __init__(self, app: Application, serve: Serve, metrics: RequestMetrics) -> None:
        self._app = app
        self._serve = serve
        self._metrics = metrics
        self._requests = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 0

        async def send_answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
            await send(message)

        self._requests += 1
        try:
            await self._handle(scope, _Limited(receive, self._serve), send_answer)
        except Exception as error:
            # The message of an unknown error may contain the text of an issue, which must not be logged.
            log.error("%s failed: %s", _path(scope), type(error).__name__)
            if not status:
                refusal = RefusalError(500, "The request could not be answered.", SERVER_FAULT)
                await _refuse(refusal, scope, receive, send_answer)
        finally:
            self._requests -= 1
            seconds, path = time.perf_counter() - begin, _path(scope)
            self._metrics.count(path, status, seconds)
            log.info("%s %s %d %.1f ms", scope["method"], path, status, seconds * 1000)

    async def _handle(self, scope: MutableMapping[str, Any], receive: _Limited, send: Send) -> None:
        try:
            self._check(scope)
        except RefusalError as refusal:
            await _refuse(refusal, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        """Raises RefusalError if the request must not reach the application."""
        if scope["path"] == OPEN_PATH:
            return
        headers = Headers(scope=scope)
        token = self._serve.token.get_secret_value()
        if token:
            _check_token(headers.get("authorization", ""), token)
        elif not is_loopback(host := host_name(headers.get("host", ""))):
            # Otherwise a web page could read the answers, through a name of its own that leads to 127.0.0.1.
            raise RefusalError(
                421,
                f"The host in the header Host is {host or 'missing'}.",
                f"one of {', '.join(LOOPBACK_NAMES)}. The server accepts other hosts only if it has a token "
                "(setting serve.token)",
            )
        if self._requests > MAX_REQUESTS:
            raise overloaded(f"The server is answering {MAX_REQUESTS} requests already, and accepts no more.")
        if scope["method"] != "POST":
            return
        size = headers.get("content-length", "0")
        # Python does not convert numbers of more than 4,300 digits.
        if size.isdecimal() and (len(size) > MAX_DIGITS or int(size) > self._serve.max_request_bytes):
            raise too_large(self._serve.max_request_bytes)
        if not _has_route(scope):  # the application answers with the status 404 or 405
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusalError(
                415,
                f"The header Content-Type is {kind[:100] or 'missing'}.",
                "the header Content-Type: application/json, and a JSON value as the body of the request",
            )


class _Limited:
    """Receives the body of a request. Raises HTTPException if it is too large or takes too long to arrive."""

    def __init__(self, receive: Receive, serve: Serve) -> None:
        self._receive = receive
        self._serve = serve
        self._bytes = 0
        self._is_complete = False
        self._end = time.monotonic() + serve.timeout_seconds

    async def __call__(self) -> Message:
        if self._is_complete:  # what comes now is the end of the connection, for which nobody waits
            return await self._receive()
        try:
            async with asyncio.timeout(self._end - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise _http_exception(too_slow(self._serve.timeout_seconds)) from None
        self._bytes += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        if self._bytes > self._serve.max_request_bytes:
            raise _http_exception(too_large(self._serve.max_request_bytes))
        return message


def _http_exception(refusal: RefusalError) -> HTTPException:
    """Returns the refusal as an HTTPException. If a RefusalError is raised while FastAPI reads the body of a
    request, FastAPI replaces it with an error that has the status 400."""
    return HTTPException(refusal.status, refusal.content, refusal.headers)


def too_slow(seconds: float) -> RefusalError:
    """Returns the refusal of a request whose body does not arrive in time."""
    return RefusalError(
        408,
        f"The request did not arrive within {seconds:g} s.",
        "the whole body of the request",
        {"Connection": "close"},
    )


def too_large(limit: int) -> RefusalError:
    """Returns the refusal of a request whose body is too large. The rest of the body is not read."""
    return RefusalError(
        413,
        f"The body of the request has more than {limit:,} bytes.",
        f"at most {limit:,} bytes (setting serve.max_request_bytes)",
        {"Connection": "close"},
    )


def _check_token(header: str, token: str) -> None:
    """Raises RefusalError unless the header Authorization has the token, as a bearer token or as the password
    of HTTP Basic. Browsers use HTTP Basic, and ask the user for the password. The comparison takes the same
    time for every wrong token."""
    scheme, _, value = header.partition(" ")
    received_token = value.strip().encode("latin-1")
    if scheme.lower() == "basic":
        with suppress(binascii.Error):
            received_token = base64.b64decode(received_token, validate=True).partition(b":")[2]
    elif scheme.lower() != "bearer":
        received_token = b""
    if not secrets.compare_digest(received_token, token.encode()):
        raise RefusalError(
            401,
            "The token is wrong." if header else "The header Authorization is missing.",
            "Authorization: Bearer TOKEN, with the token of the setting serve.token",
            {"WWW-Authenticate": 'Basic realm="titler", charset="UTF-8"'},
        )


def host_name(header: str) -> str:
    """Returns the host name or address in the header Host, without the port and without the brackets of an
    IPv6 address."""
    name, _, port = header.lower().rpartition(":")
    return (name if name and port.isdecimal() else header.lower()).removeprefix("[").removesuffix("]")


def is_loopback(host: str) -> bool:
    """Returns whether a host name or an IP address leads only to this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _path(scope: Mapping[str, Any]) -> str:
    """Returns the path of a request. It has the names of its parameters instead of their values, such as
    /issues/{owner}/{repo}/{number}."""
    if route := scope.get("route"):
        return str(route.path)
    # A request that was refused at once has no route yet.
    paths = {route.path for route in scope["app"].routes}
    return str(scope["path"]) if scope["path"] in paths else UNKNOWN_PATH


def _has_route(scope: MutableMapping[str, Any]) -> bool:
    """Returns whether the application has a route for the path and the method of a request."""
    return any(route.matches(scope)[0] == Match.FULL for route in scope["app"].routes)


async def _refuse(
    refusal: RefusalError, scope: MutableMapping[str, Any], receive: Receive, send: Send
) -> None:
    response = JSONResponse(refusal.content, refusal.status, refusal.headers)
    await response(scope, receive, send)
