"""Answers every error as JSON with the keys `error` (what was found) and `expected`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from pipeline.serving.http.forms import BATCH, ONE_ISSUE, WRONG_VALUE
from pipeline.serving.http.refusals import RefusalError

TYPES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
EXPECTATIONS = {
    "date": "a day, such as 2015-01-01",
    "model": "a JSON object",
    "int": "a whole number",
    "bool": "true or false",
    "too_short": "at least one issue",
}
"""What was expected, by the beginning of the type of an error of pydantic."""
NAMES = {
    "owner": ("the name of an account", "letters, digits, - and _, with a letter or digit at the beginning"),
    "repo": ("the name of a repository", "letters, digits, ., - and _"),
}
"""For each name in the path of a request: what it names, and the characters that it may have."""


def add_error_handlers(app: FastAPI) -> None:
    """Makes the application return all errors as JSON."""
    app.add_exception_handler(RefusalError, _refusal)
    app.add_exception_handler(RequestValidationError, _wrong_form)
    app.add_exception_handler(StarletteHTTPException, _http_error)


async def _refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusalError)
    return JSONResponse(error.content, error.status, error.headers)


async def _wrong_form(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return JSONResponse(describe(error.errors()[0]), 422)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    headers = dict(error.headers or {})
    if isinstance(error.detail, Mapping):
        content: Any = error.detail
    elif error.status_code == 404:
        content = {
            "error": "The server has no such path.",
            "expected": "a path of the list at /docs, such as POST /title",
        }
    elif error.status_code == 405:
        content = {
            "error": f"The method {request.method} is not possible for this path.",
            "expected": headers.get("allow", headers.get("Allow", "another method")),
        }
    elif error.status_code == 400:
        content = {"error": "The body of the request cannot be read.", "expected": "JSON in UTF-8"}
    else:
        content = {"error": str(error.detail), "expected": "a request as described at /docs"}
    return JSONResponse(content, error.status_code, headers)


def describe(problem: Mapping[str, Any]) -> dict[str, str]:
    """Returns the answer to a request that has a wrong form. It is a JSON object that says what was found and
    what was expected. `problem` is an error of pydantic. The object does not repeat values of the request."""
    kind, place, value = problem["type"], _place(problem["loc"]), problem.get("input")
    if kind == WRONG_VALUE:
        return {name: problem["ctx"][name] for name in ("error", "expected")}
    if kind == "json_invalid":
        reason = problem["ctx"]["error"]
        return {"error": f"The body of the request is not JSON: {reason}.", "expected": "JSON in UTF-8"}
    if kind == "missing":
        return {"error": f"{place}: nothing was found.", "expected": "a value"}
    if kind == "extra_forbidden":
        return {"error": f"{place}: this key is not known.", "expected": "the keys that /docs lists"}
    if kind == "string_pattern_mismatch" and place in NAMES:
        name, expected = NAMES[place]
        return {"error": f"{place}: the text is not {name}.", "expected": expected}
    return {"error": f"{place}: {_finding(kind, value)}.", "expected": _expectation(kind, problem["msg"])}


def _finding(kind: str, value: Any) -> str:
    """Returns what is wrong with a value. `kind` is the type of the error of pydantic."""
    if kind.startswith("greater_than"):
        return "the number is too small"
    if kind.startswith("less_than") or kind == "int_parsing_size":
        return "the number is too large"
    if kind.startswith("date") and isinstance(value, str):
        return "the text is not a day"
    return f"{TYPES.get(type(value), 'another value')} was found"


def _expectation(kind: str, message: str) -> str:
    """Returns what was expected instead. `kind` and `message` describe the error of pydantic."""
    expected = message.removeprefix("Input should be ")
    if kind.startswith(("greater_than", "less_than")):
        return f"a number {expected}"
    return next((text for prefix, text in EXPECTATIONS.items() if kind.startswith(prefix)), expected)


def _place(location: Sequence[Any]) -> str:
    """Returns where in a request a problem is, such as `[0].body`."""
    # The first one says that the problem is in the body or in the path of the request.
    keys = [key for key in location[1:] if key not in (ONE_ISSUE, BATCH)]
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".") or "body of the request"
