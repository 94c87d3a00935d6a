"""The page that tries the server, in a real browser, with literal answers instead of a release."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from browser import Browser
from pipeline.serving.http.pages import page_response, read_page

pytestmark = pytest.mark.browser
TITLE = {"title": "a crash", "confidence": 0.5, "abstained": False, "withheld": None, "probability": 0.25}
ISSUE = {**TITLE, "title": "The crash", "predicted_title": "a crash"}
UNKNOWN = {"error": "The release has no such issue.", "expected": "another one"}
FILL = """
for (const [id, text] of Object.entries(%s)) {
  const field = document.getElementById(id);
  field.value = text;
  field.dispatchEvent(new Event("input"));
}
"""
CLICK = "document.querySelector('#form button').click()"
IS_ANSWERED = (
    "return !document.querySelector('#form button').disabled && !!document.querySelector('#answers section')"
)
WEIGHTS = "return [...document.querySelectorAll('li > a')].map((link) => getComputedStyle(link).fontWeight)"
MARKS = "return [...document.querySelectorAll('li')].map((item) => item.querySelector('.mark')?.textContent)"


def similar(number: int, *, suggested: bool | None, group_size: int | None = 1) -> dict[str, Any]:
    return {
        "issue_url": f"https://github.com/a/b/issues/{number}",
        "title": f"issue {number}",
        "distance": 0.5,
        "list": "everywhere",
        "probability": 0.5,
        "suggested": suggested,
        "words_in_common": None,
        "group_size": group_size,
    }


class Answers(BaseHTTPRequestHandler):
    """Answers requests of the page. `similar` is the answer of /similar, and `posted` has what was posted."""

    similar: list[dict[str, Any]]
    posted: list[tuple[str, Any]]

    def do_GET(self) -> None:
        if self.path == "/":
            page = page_response(read_page("try.html"))
            self._send(200, bytes(page.body), dict(page.headers))
        elif self.path == "/issues/a/b/1":
            self._send_json(200, ISSUE)
        else:
            self._send_json(404, UNKNOWN)

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.posted.append((self.path, content))
        if content.get("address") == "a/b#404":
            self._send_json(404, UNKNOWN)
        else:
            self._send_json(200, TITLE if self.path == "/title" else self.similar)

    def _send_json(self, status: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self._send(status, content, {"content-type": "application/json", "content-length": str(len(content))})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


@pytest.fixture(scope="module")
def open_browser() -> Iterator[tuple[Browser, str]]:
    """A browser, and the address of the page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Browser() as browser:
        yield browser, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(open_browser: tuple[Browser, str]) -> Browser:
    """The browser with the page, which is empty."""
    browser, address = open_browser
    Answers.similar, Answers.posted = [], []
    browser.open(address, "A title and similar issues")
    browser.console()
    return browser


def ask(page: Browser, **fields: str) -> str:
    """Fills the fields of the page, and returns its text when it shows the answers."""
    page.run(FILL % json.dumps(fields))
    page.run(CLICK)
    page.wait_until(IS_ANSWERED)
    return page.text()


def test_a_title_alone_is_enough(page: Browser) -> None:
    text = ask(page, title="A crash")
    assert Answers.posted == [("/similar", {"k": 5, "title": "A crash", "body": ""})]
    assert "There are none." in text
    assert "confidence" not in text


def test_a_text_has_a_title_and_similar_issues(page: Browser) -> None:
    text = ask(page, body="It crashes")
    assert Answers.posted == [
        ("/title", {"body": "It crashes"}),
        ("/similar", {"k": 5, "text": "It crashes"}),
    ]
    assert "a crash\nconfidence 0.50" in text.replace("\n\n", "\n")
    assert page.console() == []


def test_an_address_disables_the_title(page: Browser) -> None:
    text = ask(page, title="ignored", body="a/b#1")
    assert page.run("return document.getElementById('title').disabled")
    assert "Not used: an issue that is given by its address has a title." in text
    assert "title of its author: The crash" in text
    page.run(FILL % json.dumps({"body": "It crashes"}))
    assert not page.run("return document.getElementById('title').disabled")
    assert "Not used" not in page.text()


def test_an_unknown_address_is_said_once(page: Browser) -> None:
    text = ask(page, body="a/b#404")
    assert text.count(UNKNOWN["error"]) == 1
    assert "Similar issues" not in text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_suggested_issues_are_marked(page: Browser, theme: str) -> None:
    page.emulate(1000, theme)
    Answers.similar = [similar(1, suggested=True, group_size=3), similar(2, suggested=False, group_size=None)]
    text = ask(page, body="It crashes")
    assert page.run(MARKS) == ["suggested", None]
    assert page.run(WEIGHTS) == ["700", "400"]
    assert text.count("stands for ") == 1
    assert "stands for 3 issues with the same text" in text


@pytest.mark.parametrize("suggested", [False, None])
def test_it_is_said_if_no_issue_is_suggested(page: Browser, suggested: bool | None) -> None:
    Answers.similar = [similar(1, suggested=suggested)]
    said = "none is probable enough to suggest it" in ask(page, body="It crashes")
    assert said == (suggested is False)
