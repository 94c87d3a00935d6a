"""What a test says in the emulator's place, and what it looks for among the client's requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.support.emulator import Answer, Emulator, Intervention, Request


def jobs_started(emulator: Emulator, words: str = "") -> list[dict[str, Any]]:
    """The query jobs that were asked for, dry runs left out, whose SQL has these words."""
    return [
        request.json
        for request in emulator.proxy.requests
        if is_job(request, words) and not request.json["configuration"].get("dryRun")
    ]


def is_job(request: Request, words: str = "") -> bool:
    """Whether a request begins a query whose SQL has these words."""
    if request.method != "POST" or "/jobs" not in request.path or not isinstance(request.json, dict):
        return False
    return words in request.json.get("configuration", {}).get("query", {}).get("query", "\0")


def costing(count: int, words: str) -> Intervention:
    """Queries with these words have `count` bytes billed: the emulator tells what its own rows would take, and bills nothing."""

    def intervene(request: Request, ask: Callable[[], Answer]) -> Answer | None:
        if not is_job(request, words):
            return None
        answer = ask()
        value = json.loads(answer.body)
        value.setdefault("statistics", {})["totalBytesProcessed"] = str(count)
        value["statistics"].setdefault("query", {}).update(
            {"totalBytesProcessed": str(count), "totalBytesBilled": str(count)}
        )
        return replace(answer, body=json.dumps(value).encode())

    return intervene


def once(words: str, answer: Callable[[Callable[[], Answer]], Answer]) -> Intervention:
    """The first query with these words, dry runs left out, is answered by `answer(ask)`."""
    done: list[Request] = []

    def intervene(request: Request, ask: Callable[[], Answer]) -> Answer | None:
        if done or not is_job(request, words) or request.json["configuration"].get("dryRun"):
            return None
        done.append(request)
        return answer(ask)

    return intervene


def always(words: str, answer: Answer) -> Intervention:
    """Every query with these words is answered so."""
    return lambda request, ask: answer if is_job(request, words) else None


def failed(job: dict[str, Any], reason: str, message: str) -> Answer:
    """A job that was begun and failed at once."""
    error = {"reason": reason, "message": message}
    status = {"state": "DONE", "errorResult": error, "errors": [error]}
    return Answer.of(
        {**job, "status": status, "statistics": {"creationTime": "1", "startTime": "1", "endTime": "1"}}
    )
