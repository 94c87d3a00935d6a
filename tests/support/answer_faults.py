"""Faults of a server's answers, which a proxy between a client and the server causes."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

WHAT = ("429", "500", "500 done", "slow", "reset", "reset done")
"""Too many requests; an internal error; an answer that comes later than the client waits; a connection that
is reset. "done" means that the server has done what the request asks. If it is slow, it always has."""


@dataclass
class AnswerFault:
    """A fault of one answer: that to the request with this number. The first request has the number 1. If
    `lasts` is true, the answers to all later requests have the fault, too. `seconds` is how late a slow
    answer is."""

    what: str
    number: int
    lasts: bool = False
    seconds: float = 0
    _requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hits_next(self) -> bool:
        """Counts a request. Returns whether its answer has the fault."""
        with self._lock:
            self._requests += 1
            return self._requests == self.number or (self.lasts and self._requests > self.number)

    @property
    def reaches_server(self) -> bool:
        """Whether the server does what the request asks."""
        return self.what.endswith("done") or self.what == "slow"

    @property
    def status(self) -> int:
        """The status of the answer, or 0 if its status is not changed."""
        number = self.what.partition(" ")[0]
        return int(number) if number.isdigit() else 0


def reset_connection(handler: BaseHTTPRequestHandler) -> None:
    """Resets the connection of a request, which then gets no answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()
