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
    """Returns the page that lists the paths of an OpenAPI document, with the schemas of requests and
    answers."""
    sections = []
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            sections.append(
                f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
                f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
                f"<details><summary>Request and answers</summary><pre>{_json(operation)}</pre></details>"
            )
    schemas = "".join(
        f"<details><summary><code>{escape(name)}</code></summary><pre>{_json(schema)}</pre></details>"
        for name, schema in openapi.get("components", {}).get("schemas", {}).items()
    )
    content = "".join(sections) + (f"<h2>Schemas</h2>{schemas}" if schemas else "")
    return read_page("paths.html").replace("<!-- paths -->", content)


def _json(value: Any) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False))
