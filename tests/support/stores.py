"""Object stores on loopback: an S3 server and a server with Google Cloud Storage's API, each behind a proxy.

The proxy records all requests. It refuses copies and renames, because the lake must not need them, and leaves
objects that a test hides out of listings, like a store that lists new objects late. It also causes the faults
that a test asks for.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from local_airflow import LOOPBACK, free_port
from tests.support.answer_faults import AnswerFault, reset_connection

ROOT = Path(__file__).resolve().parents[2]
MISSING = "needs object stores: make emulators"
PATIENCE = 60  # seconds for a server to start
BUCKET = "titler"
KEY = "titler-test"
NO_OTHERS = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_GCE_CHECK": "true",
}
"""Keeps the clients from looking for credentials on the network and in the home folder."""
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}
COPIES = re.compile(r"/(rewriteTo|copyTo|moveTo|compose)(/|$|\?)")


def programs() -> Path | None:
    """The folder of the servers' programs, or None if they were not built."""
    search = subprocess.run(
        [ROOT / "infra" / "install_emulators.sh", "--find"], capture_output=True, text=True, check=False
    )
    return Path(search.stdout.strip()) if search.returncode == 0 else None


@dataclass
class Stores:
    """Both servers. Processes with `environment` use them."""

    environment: dict[str, str]
    proxies: dict[str, Proxy]

    @contextmanager
    def hiding(self, pattern: str) -> Iterator[None]:
        """In the `with` block, listings lack the objects and folders whose names match."""
        try:
            for proxy in self.proxies.values():
                proxy.hidden = re.compile(pattern)
            yield
        finally:
            for proxy in self.proxies.values():
                proxy.hidden = None

    def copies(self) -> list[str]:
        """The requests for a copy or a rename."""
        return [request for proxy in self.proxies.values() for request in proxy.copies]


@contextmanager
def running(folder: Path) -> Iterator[Stores]:
    """Runs both stores, each with an empty bucket `BUCKET`. They stop also if this process dies."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="titler-stores-")))
        secret = secrets.token_hex(16)
        (home / "s3" / BUCKET).mkdir(parents=True)
        s3 = stack.enter_context(s3_server(folder, home / "s3", KEY, secret))
        gs = stack.enter_context(gcs_server(folder, home / "gs"))
        proxies = {"s3": stack.enter_context(proxied(s3)), "gs": stack.enter_context(proxied(gs))}
        environment = {
            **credentials(proxies["s3"].address, secret),
            "STORAGE_EMULATOR_HOST": proxies["gs"].address,
        }
        yield Stores(environment, proxies)


def credentials(address: str, secret: str) -> dict[str, str]:
    """The environment variables of S3's clients."""
    return {
        **NO_OTHERS,
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": secret,
    }


@contextmanager
def s3_server(
    folder: Path, home: Path, key: str, secret: str, host: str = LOOPBACK, port: int = 0
) -> Iterator[str]:
    """The address of an S3 server whose buckets are the folders in `home`."""
    port = port or free_port()
    environment = {"ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret}
    command: list[str | Path] = [folder / "s3-server", f"{host}:{port}", str(home)]
    with _server(command, environment, host, port, "/"):
        yield f"http://{host}:{port}"


@contextmanager
def gcs_server(folder: Path, home: Path) -> Iterator[str]:
    """The address of a server with Google Cloud Storage's API whose buckets are the folders in `home`."""
    port = free_port()
    (home / BUCKET).mkdir(parents=True, exist_ok=True)
    address = f"http://{LOOPBACK}:{port}"
    command: list[str | Path] = [
        folder / "fake-gcs-server",
        "-scheme",
        "http",
        "-host",
        LOOPBACK,
        "-port",
        str(port),
        "-filesystem-root",
        str(home),
    ]
    with _server([*command, "-log-level", "error"], {}, LOOPBACK, port, "/_internal/healthcheck"):
        yield address


@contextmanager
def _server(
    command: Sequence[str | Path], environment: Mapping[str, str], host: str, port: int, path: str
) -> Iterator[None]:
    with tempfile.TemporaryFile() as written:
        server = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *map(str, command)],
            env={**os.environ, **environment},
            stdout=written,
            stderr=written,
        )
        try:
            for _ in range(PATIENCE * 50):
                if server.poll() is not None:
                    written.seek(0)
                    raise RuntimeError(
                        f"{command[0]} ended with exit code {server.returncode}: {written.read().decode()}"
                    )
                if _answers(host, port, path):
                    break
                time.sleep(0.02)
            else:
                raise RuntimeError(f"{command[0]} does not respond")
            yield
        finally:
            server.kill()
            server.wait()


def _answers(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True


@dataclass
class Proxy:
    """Between a client and a store. Names that match `hidden` are left out of listings.

    `requests` are all requests, `copies` the refused ones for a copy or a rename. `fault` is what happens to
    answers.
    """

    address: str
    upstream: tuple[str, int]
    hidden: re.Pattern[str] | None = None
    copies: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    fault: AnswerFault | None = None


@contextmanager
def proxied(address: str) -> Iterator[Proxy]:
    """A proxy in front of the server at `address`."""
    parts = urlsplit(address)
    server = ThreadingHTTPServer((LOOPBACK, 0), _Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://{LOOPBACK}:{server.server_port}", (str(parts.hostname), int(parts.port or 0)))
    server.proxy = proxy  # type: ignore[attr-defined]  # where the handler finds it
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _pass_on(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        body = self._body()
        proxy.requests.append(f"{self.command} {self.path}")
        if "x-amz-copy-source" in self.headers or COPIES.search(self.path):
            proxy.copies.append(f"{self.command} {self.path}")
            self._answer(501, {"Content-Type": "text/plain"}, b"nothing may need a copy or a rename")
            return
        fault = proxy.fault if proxy.fault is not None and proxy.fault.hits_next() else None
        if fault is not None and not fault.reaches_server:
            self._fail(fault)
            return
        connection = http.client.HTTPConnection(*proxy.upstream, timeout=PATIENCE)
        try:
            # The Host header stays the client's: it is part of the signature.
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            content = answer.read()
            passed_on = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
            if self.command == "HEAD":
                passed_on["Content-Length"] = answer.getheader("Content-Length", "0")
            elif proxy.hidden and self.command == "GET":
                content = _without(proxy.hidden, content)
        finally:
            connection.close()
        if fault is not None and fault.what != "slow":
            self._fail(fault)
            return
        threading.Event().wait(fault.seconds if fault else 0)
        with suppress(ConnectionError):  # a client does not wait for slow answers
            self._answer(answer.status, passed_on, content)

    def _fail(self, fault: AnswerFault) -> None:
        if not fault.status:
            reset_connection(self)
            return
        code = {429: "TooManyRequests", 500: "InternalError"}[fault.status]
        if "/storage/v1/" in self.path or "/upload/" in self.path:
            content = json.dumps({"error": {"code": fault.status, "message": code}}).encode()
        else:
            content = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self._answer(fault.status, {"Content-Type": "application/json"}, content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _pass_on  # noqa: N815  # http.server's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


_ENTRY = re.compile(
    rb"<Contents>.*?<Key>(.*?)</Key>.*?</Contents>|<CommonPrefixes>.*?<Prefix>(.*?)</Prefix>.*?</CommonPrefixes>",
    re.DOTALL,
)


def _without(hidden: re.Pattern[str], content: bytes) -> bytes:
    """A listing without the hidden names; any other content unchanged."""
    if b"<ListBucketResult" in content:
        return _ENTRY.sub(
            lambda entry: b"" if hidden.search(unquote((entry[1] or entry[2]).decode())) else entry[0],
            content,
        )
    if b'"storage#objects"' in content:
        listing = json.loads(content)
        listing["items"] = [item for item in listing.get("items") or [] if not hidden.search(item["name"])]
        listing["prefixes"] = [
            prefix for prefix in listing.get("prefixes") or [] if not hidden.search(prefix)
        ]
        return json.dumps(listing).encode()
    return content
