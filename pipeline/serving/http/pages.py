"""The pages for people: one to try the server, and one that lists the server's paths. Neither
page loads anything from the internet."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any

from fastapi.responses import HTMLResponse

STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
REFERENCE = "$ref"
FORMS = ("parameters", "requestBody", "responses")
"""The keys of a path in an OpenAPI document that describe its requests and answers."""


def read_page(name: str) -> str:
    """Returns the HTML of a page, which is a file in this folder."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def page_response(page: str) -> HTMLResponse:
    """Returns a page as the answer to a request. A browser runs only the script and the style in the page
    itself, and the script may send requests only to this server."""
    scripts, styles = (
        " ".join(f"'sha256-{_digest(text)}'" for text in pattern.findall(page)) or "'none'"
        for pattern in (SCRIPT, STYLE)
    )
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def paths_page(openapi: Mapping[str, Any]) -> str:
    """Returns the page that lists the paths of an OpenAPI document. Each has the schemas of its requests and
    answers, in which references to other schemas are resolved. No schema may refer to itself."""
    schemas = openapi.get("components", {}).get("schemas", {})
    sections = []
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            forms = {key: operation[key] for key in FORMS if key in operation}
            sections.append(
                f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
                f"<p>{_prose(operation.get('description') or operation.get('summary', ''))}</p>"
                "<details><summary>Request and answers</summary>"
                f"<pre>{_json(_resolved(forms, schemas))}</pre></details>"
            )
    return read_page("paths.html").replace("<!-- paths -->", "".join(sections))


def _prose(text: str) -> str:
    """Returns a text as HTML. What is in backticks is shown as code."""
    return CODE.sub(r"<code>\1</code>", escape(text))


def _json(value: Any) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False))


def _resolved(value: Any, schemas: Mapping[str, Any]) -> Any:
    """Returns a JSON value in which each reference is replaced by the schema that it names."""
    if isinstance(value, list):
        return [_resolved(each, schemas) for each in value]
    if not isinstance(value, dict):
        return value
    if REFERENCE in value:
        name = value[REFERENCE].rpartition("/")[2]
        value = {**schemas[name], **{key: each for key, each in value.items() if key != REFERENCE}}
    return {key: _resolved(each, schemas) for key, each in value.items()}
