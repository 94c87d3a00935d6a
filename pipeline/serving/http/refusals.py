"""Errors for requests that are refused. The client gets them as a JSON object: `error` says what the
server found, and `expected` says what the server expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

RETRY_AFTER = {"Retry-After": "1"}


@dataclass(eq=False)  # an exception must be hashable
class RefusalError(Exception):
    """Raised to answer a request with an error. `status` is the HTTP status, `error` says what was found, and
    `expected` what was expected."""

    status: int
    error: str
    expected: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, Any]:
        """The JSON object that the client gets."""
        return {"error": self.error, "expected": self.expected}


def overloaded(error: str) -> RefusalError:
    """Returns the error for a request that is refused because the server has too many requests. The client
    may repeat this request in a moment."""
    return RefusalError(
        503, error, "fewer requests at the same time. Repeat this request later", {**RETRY_AFTER}
    )
