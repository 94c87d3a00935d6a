#!/usr/bin/env python
"""The health check of a container.

    healthy.py URL [KEY ...]

Exits with code 0 if URL responds with a 2xx status and every KEY of its JSON has a healthy value: a number
above 0, or {"status": "healthy"}. Otherwise exits with code 1 and prints the reason. Without arguments, the
script checks the address in the environment variable HEALTH_URL. If this variable is empty, the container
serves no pages and counts as healthy. If TITLER_SERVE__TOKEN is set, the request has this token, because
`titler serve` then refuses /ready without it. The script runs every few seconds, so it imports only the
standard library.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

TIMEOUT = 8  # seconds; the container engine gives up after ten


def find_problem(document: Any, keys: list[str]) -> str:
    """Checks the values of `keys` in the JSON value `document`. Returns what is wrong with the first value
    that is not healthy, or an empty text if all are healthy."""
    for key in keys:
        value = document.get(key) if isinstance(document, dict) else None
        healthy = (
            value["status"] == "healthy"
            if isinstance(value, dict) and "status" in value
            else isinstance(value, int) and value > 0
        )
        if not healthy:
            return f"{key} is {json.dumps(value)}, expected a number above 0 or the status healthy"
    return ""


def request_for(url: str) -> urllib.request.Request:
    """Returns a GET request for `url`. It has the server's token if TITLER_SERVE__TOKEN is set."""
    token = os.environ.get("TITLER_SERVE__TOKEN", "")
    return urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})


def main(arguments: list[str]) -> int:
    url, *keys = arguments or [os.environ.get("HEALTH_URL", "")]
    if not url:
        return 0
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request_for(url), timeout=TIMEOUT
        ) as response:
            body = response.read()
        problem = find_problem(json.loads(body), keys) if keys else ""
    except (OSError, ValueError) as error:
        problem = str(error)
    if problem:
        print(f"{url}: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
