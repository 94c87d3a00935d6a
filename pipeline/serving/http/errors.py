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
    expected = str(problem["msg"]).removeprefix("Input should be ")
    if kind.startswith("date"):
        expected = "a day, such as 2015-01-01"
    elif kind.startswith("model"):
        expected = "a JSON object"
    elif kind.startswith(("greater_than", "less_than")):
        expected = f"a number {expected}"
    elif kind == "too_short":
        expected = "at least one issue"
    return {"error": f"{place}: {TYPES.get(type(value), 'another value')} was found.", "expected": expected}


def _place(location: Sequence[Any]) -> str:
    """Returns where in a request a problem is, such as `[0].body`."""
    # The first one says that the problem is in the body or in the path of the request.
    keys = [key for key in location[1:] if key not in (ONE_ISSUE, BATCH)]
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".") or "body of the request"
