"""Receivers of alerts on loopback: a web server and a mail relay that record what they get."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any, TypeVar, cast

Server = TypeVar("Server", bound=socketserver.BaseServer)


class Webhook(ThreadingHTTPServer):
    """Answers every POST with `status`; `messages` are the JSON values it got, in order."""

    daemon_threads = True

    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.status = status
        self.messages: Queue[dict[str, Any]] = Queue()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def all(self) -> list[dict[str, Any]]:
        """The messages since the last call."""
        return [self.messages.get_nowait() for _ in range(self.messages.qsize())]


class _Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = cast(Webhook, self.server)
        assert self.headers["Content-Type"].startswith("application/json")
        server.messages.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(server.status)
        if server.status == 302:
            self.send_header("Location", server.address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """The target of the redirect: a client that wrongly follows it gets a success."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Relay(socketserver.ThreadingTCPServer):
    """A mail relay that refuses recipients at `nowhere`. `mails` are the accepted recipients and messages."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Smtp)
        self.mails: Queue[tuple[list[str], EmailMessage]] = Queue()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        recipients: list[str] = []
        self._say("220 relay")
        for line in self.rfile:
            command = line.decode().strip()
            if command.upper() == "DATA":
                self._say("354 go on")
                lines = list(iter(self.rfile.readline, b".\r\n"))
                cast(Relay, self.server).mails.put(
                    (recipients, message_from_bytes(b"".join(lines), policy=default))
                )
                self._say("250 taken")
            elif command.upper() == "QUIT":
                self._say("221 bye")
                return
            elif command.upper().startswith("RCPT") and "@nowhere" in command:
                self._say("550 no such user")
            else:
                if command.upper().startswith("RCPT"):
                    recipients.append(command.partition("<")[2].partition(">")[0])
                self._say("250 fine")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
