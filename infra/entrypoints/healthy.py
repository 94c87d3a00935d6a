#!/usr/bin/env python
"""Asks a service how it is, for a container's health check: healthy.py URL [PART ...]

Exit code 0 when URL answers with 2xx and, of its JSON, every PART is well: a number above 0, or {"status": "healthy"}. Otherwise 1 and a
line that says what was found. Without URL it asks $HEALTH_URL, and is well where that is empty: a command that serves nothing. The standard
library alone, for it runs every few seconds.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

SECONDS = 8  # under the ten that whoever runs it waits


def ill(answer: Any, parts: list[str]) -> str:
    """What is wrong with the first part that is not well; empty where all are."""
    for part in parts:
        found = answer.get(part) if isinstance(answer, dict) else None
        well = (
            found["status"] == "healthy"
            if isinstance(found, dict) and "status" in found
            else isinstance(found, int) and found > 0
        )
        if not well:
            return f"{part} is {json.dumps(found)}, expected a number above 0 or a status of healthy"
    return ""


def main(arguments: list[str]) -> int:
    url, *parts = arguments or [os.environ.get("HEALTH_URL", "")]
    if not url:
        return 0
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            url, timeout=SECONDS
        ) as answer:
            body = answer.read()
        problem = ill(json.loads(body), parts) if parts else ""
    except (OSError, ValueError) as error:
        problem = str(error)
    if problem:
        print(f"{url}: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
