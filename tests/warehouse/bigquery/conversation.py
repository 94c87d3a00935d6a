"""Responses that a test gives in place of the emulator, and searches in the requests of the client."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.support.emulator import Answer, Emulator, Intervention, Request


def jobs_started(emulator: Emulator, words: str = "") -> list[dict[str, Any]]:
    """The query jobs that were started, without dry runs, whose SQL contains these words."""
    return [
        request.json
        for request in emulator.proxy.requests
        if is_job(request, words) and not request.json["configuration"].get("dryRun")
    ]


def is_job(request: Request, words: str = "") -> bool:
    """Whether a request starts a query whose SQL contains these words."""
    if request.method != "POST" or "/jobs" not in request.path or not isinstance(request.json, dict):
        return False
    return words in request.json.get("configuration", {}).get("query", {}).get("query", "\0")


def billing(count: int, words: str) -> Intervention:
    """Queries with these words bill `count` bytes: the emulator estimates from its own rows, and bills
    nothing.
    """

    def intervene(request: Request, forward: Callable[[], Answer]) -> Answer | None:
        if not is_job(request, words):
            return None
        response = forward()
        value = json.loads(response.body)
        value.setdefault("statistics", {})["totalBytesProcessed"] = str(count)
        value["statistics"].setdefault("query", {}).update(
            {"totalBytesProcessed": str(count), "totalBytesBilled": str(count)}
        )
        return replace(response, body=json.dumps(value).encode())

    return intervene


def source_tables(**properties: Any) -> Intervention:
    """The tables of GH Archive have these properties in BigQuery's description of a table."""

    def intervene(request: Request, forward: Callable[[], Answer]) -> Answer | None:
        if request.method != "GET" or "/datasets/day/tables/" not in request.path:
            return None
        response = forward()
        if response.status != 200:
            return response
        return replace(response, body=json.dumps({**json.loads(response.body), **properties}).encode())

    return intervene


def answer_once(words: str, respond: Callable[[Callable[[], Answer]], Answer]) -> Intervention:
    """`respond(forward)` answers the first query with these words, not counting dry runs."""
    answered: list[Request] = []

    def intervene(request: Request, forward: Callable[[], Answer]) -> Answer | None:
        if answered or not is_job(request, words) or request.json["configuration"].get("dryRun"):
            return None
        answered.append(request)
        return respond(forward)

    return intervene


def answer_always(words: str, answer: Answer) -> Intervention:
    """Answers every query with these words."""
    return lambda request, forward: answer if is_job(request, words) else None


def failed(job: dict[str, Any], reason: str, message: str) -> Answer:
    """The answer for a job that started and failed at once."""
    error = {"reason": reason, "message": message}
    status = {"state": "DONE", "errorResult": error, "errors": [error]}
    return Answer.of(
        {**job, "status": status, "statistics": {"creationTime": "1", "startTime": "1", "endTime": "1"}}
    )
