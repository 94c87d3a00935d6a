"""BigQuery's emulator (github.com/goccy/bigquery-emulator) behind a proxy that records the client's requests.

The proxy also corrects responses in which the emulator differs from BigQuery (`CORRECTIONS`), and lets a test
respond instead of the emulator (`Proxy.intervene`).
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support import stores
from tests.support.answer_faults import AnswerFault, reset_connection

PROJECT = "titler-test"
SOURCE_PROJECT = "githubarchive"
UNCOLLECTED = {"GOGC": "off", "GOMEMLIMIT": "6GiB"}
"""Go's garbage collector is off up to the limit: it frees memory that the emulator's analyser still uses, and
after table functions, queries fail or the emulator crashes. tests/infra/test_compose.py, the longest,
reaches 5 GB.
"""
PATIENCE = 60  # seconds for the emulator to start

CORRECTIONS = {
    "already created": "an existing name is an internal error, 500; BigQuery responds 409 duplicate",
    "failed to analyze": "wrong SQL is a jobInternalError, which is retried; BigQuery responds invalidQuery",
    "is not found": "a missing table in a load job is an internal error; BigQuery responds notFound",
    "parameterValue": "a FLOAT64 parameter sent as a JSON number is ignored: it is sent on as a string",
    "arrayValues": "an array of dates is taken for one of strings: it becomes a literal in the statement",
    "CREATE OR REPLACE VIEW": "a list of columns with descriptions is refused: it is left out",
    "PUT": "an upload that the client repeats is loaded twice; BigQuery responds as to the first one",
    "Location": "the upload address is the emulator's: it is replaced by the proxy's",
}


@dataclass(frozen=True)
class Request:
    """What the client sent. `json` is None if the body is not JSON."""

    method: str
    path: str
    json: Any = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What the client gets. `cut` closes the connection after half of the body, `reset` before the answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    cut: bool = False
    reset: bool = False

    @classmethod
    def of(cls, value: Any, status: int = 200) -> Answer:
        return cls(status, json.dumps(value).encode())

    @classmethod
    def error(cls, status: int, reason: str, message: str) -> Answer:
        """An error in BigQuery's form."""
        return cls.of(
            {
                "error": {
                    "code": status,
                    "message": message,
                    "errors": [{"reason": reason, "message": message}],
                }
            },
            status,
        )


CANARY = "canary-5b1f0e"
"""A part of every secret of `service_account`: where it appears, a secret has leaked."""


def service_account(folder: Path) -> Path:
    """The file of a service account that signs its own tokens.

    Its universe is not Google's, where the client library would call Google's servers.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "service-account.json"
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": CANARY,
        "private_key": pem.decode(),
        "client_email": "titler@titler-test.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://127.0.0.1:9/token",
        "universe_domain": "titler.test",
    }
    path.write_text(json.dumps(account))
    return path


def secrets_of(path: Path) -> list[str]:
    """The secrets in a service account's file: the canary, and lines of the key."""
    key = json.loads(path.read_text())["private_key"].splitlines()
    return [CANARY, key[1], key[-2]]


Intervention = Callable[[Request, Callable[[], Answer]], Answer | None]


def failing(fault: AnswerFault) -> Intervention:
    """Returns an intervention that causes a fault of the answers."""

    def intervene(request: Request, ask: Callable[[], Answer]) -> Answer | None:
        if not fault.hits_next():
            return None
        answer = ask() if fault.reaches_server else Answer(0, b"")
        if fault.what == "slow":
            threading.Event().wait(fault.seconds)
            return answer
        if not fault.status:
            return Answer(0, b"", reset=True)
        reason = {429: "rateLimitExceeded", 500: "backendError"}[fault.status]
        return Answer.error(fault.status, reason, "a fault of the test")

    return intervene


class Proxy:
    """`requests` are those made so far, oldest first; `authorizations` what they came with."""

    def __init__(self, port: int) -> None:
        self.requests: list[Request] = []
        self.authorizations: set[str] = set()
        self._emulator = port
        self._interventions: list[Intervention] = []
        self._uploads: dict[tuple[str, str], Answer] = {}
        self._upload_lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # otherwise the second half of each response is 40 ms late

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = proxy._answer(self.command, self.path, dict(self.headers), body)
                if answer.reset:
                    reset_connection(self)
                    return
                with suppress(ConnectionError):  # a client does not wait for slow answers
                    self._send(answer)

            def _send(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)
                if answer.cut:
                    self.wfile.flush()
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 (names of the base class)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @contextmanager
    def intervene(self, *interventions: Intervention) -> Iterator[None]:
        """In the `with` block each request goes to `intervention(request, ask)` first.

        `ask()` returns the emulator's response. An intervention that returns None passes the request on.
        """
        self._interventions += interventions
        try:
            yield
        finally:
            for intervention in interventions:
                self._interventions.remove(intervention)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        request = Request(method, path, _json(body))
        self.requests.append(request)
        self.authorizations.add(
            next((value for name, value in headers.items() if name.lower() == "authorization"), "")
        )

        def ask() -> Answer:
            try:
                return self._corrected(self._upload_or_forward(method, path, headers, body))
            except ConnectionError as error:  # a client would retry other errors for minutes
                return Answer.error(400, "invalid", f"The emulator has ended, see emulator.log: {error}")

        for intervention in list(self._interventions):
            answer = intervention(request, ask)
            if answer is not None:
                return answer
        return ask()

    def _upload_or_forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if method != "PUT":
            return self._forward(method, path, headers, body)
        upload = path, headers.get("Content-Range", headers.get("content-range", ""))
        with self._upload_lock:
            if upload in self._uploads:
                return self._uploads[upload]
            answer = self._forward(method, path, headers, body)
            if answer.status < 400:
                self._uploads[upload] = answer
            return answer

    def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        body = _without_columns_of_views(_with_corrected_parameters(body))
        connection = http.client.HTTPConnection("127.0.0.1", self._emulator, timeout=PATIENCE)
        dropped = ("host", "accept-encoding", "connection", "content-length")
        passed = {name: value for name, value in headers.items() if name.lower() not in dropped}
        try:
            connection.request(method, path, body, passed)
            response = connection.getresponse()
            data = response.read()
            response_headers = tuple(
                (name, value)
                for name, value in response.getheaders()
                if name in ("Content-Type", "Location", "Range")
            )
        finally:
            connection.close()
        return Answer(response.status, data, response_headers)

    def _corrected(self, answer: Answer) -> Answer:
        headers = tuple(
            (name, re.sub(r"^http://[^/]+", self.endpoint, value)) for name, value in answer.headers
        )
        value = _json(answer.body)
        if not isinstance(value, dict):
            return Answer(answer.status, answer.body, headers)
        message = str((value.get("error") or {}).get("message", ""))
        if answer.status >= 400 and "already created" in message:
            return Answer.error(409, "duplicate", message)
        if answer.status == 500 and "is not found" in message:
            return Answer.error(404, "notFound", message)
        if answer.status >= 400 and "failed to analyze" in message:
            return Answer.error(400, "invalidQuery", message)
        status = value.get("status")
        if isinstance(status, dict) and "failed to analyze" in str(
            (status.get("errorResult") or {}).get("message", "")
        ):
            status["errorResult"]["reason"] = (
                "notFound" if "Table not found" in status["errorResult"]["message"] else "invalidQuery"
            )
            return Answer(answer.status, json.dumps(value).encode(), headers)
        return Answer(answer.status, answer.body, headers)


@dataclass(frozen=True)
class Emulator:
    """A running emulator. `endpoint` and `storage_endpoint` are values of the settings with these names."""

    proxy: Proxy
    storage_endpoint: str

    @property
    def endpoint(self) -> str:
        return self.proxy.endpoint


def program() -> str | None:
    """The emulator's program, or None if it was not built (make emulators)."""
    folder = stores.programs()
    return str(folder / "bigquery-emulator") if folder else None


@contextmanager
def running(path: str, folder: Path) -> Iterator[Emulator]:
    """Runs an emulator with the project PROJECT, and SOURCE_PROJECT with the data set `day`."""
    projects = [{"id": PROJECT, "datasets": []}, {"id": SOURCE_PROJECT, "datasets": [{"id": "day"}]}]
    data = folder / "projects.yaml"
    data.write_text(json.dumps({"projects": projects}))  # JSON is YAML
    port, grpc_port = _free_ports(2)
    command = [
        path,
        "--host=127.0.0.1",
        f"--port={port}",
        f"--grpc-port={grpc_port}",
        f"--project={PROJECT}",
        f"--data-from-yaml={data}",
    ]
    with (folder / "emulator.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **UNCOLLECTED})
    try:
        _wait(process, port, folder / "emulator.log")
        proxy = Proxy(port)
        yield Emulator(proxy, f"127.0.0.1:{grpc_port}")
        proxy.close()
    finally:
        process.terminate()
        process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(bound.getsockname()[1]) for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    pause = threading.Event()
    for _ in range(PATIENCE * 20):
        if process.poll() is not None:
            raise RuntimeError(f"The emulator ended with exit code {process.returncode}: {log.read_text()}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            pause.wait(0.05)
    raise RuntimeError(f"The emulator does not respond: {log.read_text()}")


def _with_corrected_parameters(body: bytes) -> bytes:
    if b'"queryParameters"' not in body:
        return body
    value = json.loads(body)
    query = value["configuration"]["query"]
    for parameter in list(query["queryParameters"]):
        if isinstance(number := parameter["parameterValue"].get("value"), (int, float)):
            parameter["parameterValue"]["value"] = str(number)
        if parameter["parameterType"].get("arrayType", {}).get("type") == "DATE":
            query["queryParameters"].remove(parameter)
            days = ", ".join(f"DATE '{day['value']}'" for day in parameter["parameterValue"]["arrayValues"])
            query["query"] = re.sub(rf"@{parameter['name']}\b", f"[{days}]", query["query"])
    return json.dumps(value).encode()


def _without_columns_of_views(body: bytes) -> bytes:
    if b"CREATE OR REPLACE VIEW" not in body:
        return body
    value = json.loads(body)
    query = value["configuration"]["query"]
    column = r"\w+ OPTIONS \(description = '(?:\\.|[^'\\])*'\)"
    columns = rf"(CREATE OR REPLACE VIEW `[^`]+`) \({column}(?:, {column})*\)"
    query["query"] = re.sub(columns, r"\1", query["query"])
    return json.dumps(value).encode()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
