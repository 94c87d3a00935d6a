"""The pages for people need no network, and insert texts of strangers as text only."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from pipeline.serving.http.pages import page_response, paths_page, read_page

REFERENCE = {"$ref": "#/components/schemas/Outer"}
OPENAPI = {
    "paths": {
        "/x": {"get": {"summary": "<b>", "description": "a & b"}},
        "/y": {"post": {"summary": "`k` and `<i>`", "requestBody": REFERENCE}},
    },
    "components": {
        "schemas": {
            "Outer": {"items": {"$ref": "#/components/schemas/Inner", "description": "one"}},
            "Inner": {"title": "inner", "description": "any"},
        }
    },
}
PAGES = {"try": read_page("try.html"), "paths": paths_page(OPENAPI)}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_nothing_from_elsewhere(name: str) -> None:
    assert re.findall(r"(?:src|href)=[\"'](?:https?:)?//", PAGES[name]) == []
    assert "@import" not in PAGES[name]


def test_the_policy_allows_the_script_and_the_style_of_the_page_alone() -> None:
    page = "<style>a</style><script>b</script>"
    policy = page_response(page).headers["Content-Security-Policy"].split("; ")
    assert policy == [
        "default-src 'none'",
        "script-src 'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='",
        "style-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]


def test_the_page_writes_no_text_as_html() -> None:
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\son\w+=", PAGES["try"]) == []


def test_descriptions_of_paths_are_escaped() -> None:
    assert "<p>a &amp; b</p>" in PAGES["paths"]
    assert "<b>" not in PAGES["paths"]


def test_words_in_backticks_are_shown_as_code() -> None:
    assert "<p><code>k</code> and <code>&lt;i&gt;</code></p>" in PAGES["paths"]


def test_a_schema_stands_where_it_is_used() -> None:
    _, _, text = PAGES["paths"].partition("/y</code></h2>")
    (request,) = re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)
    assert json.loads(unescape(request))["requestBody"] == {"items": {"title": "inner", "description": "one"}}
    assert "$ref" not in PAGES["paths"]
    assert "Schemas" not in PAGES["paths"]
