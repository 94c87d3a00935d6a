"""A real browser, Debian's Chromium, driven over W3C WebDriver: what tests look at pages with.

.venv/bin/python infra/browser.py URL FILE.png        a picture of a page, as a person sees it
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

SWITCHES = (
    "--headless",
    "--no-sandbox",  # the sandbox does not work as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no page reaches anything but this machine
    "--window-size=1500,1000",
)
SETTLE = 1.5  # seconds without a change of the text after which a page is taken for complete


class BrowserError(Exception):
    """A page, or the browser itself, did not do what was asked; the message says what was seen."""


class Browser:
    """One Chromium with a profile of its own, both gone after `with`."""

    def __enter__(self) -> Browser:
        if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
            raise BrowserError(
                "chromium and chromedriver were not found. Install them:  infra/install_browser.sh"
            )
        self._profile = tempfile.TemporaryDirectory(prefix="titler-chromium-", ignore_cleanup_errors=True)
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._session = ""
        try:
            assert self._driver.stdout is not None
            port = next(
                (
                    found[1]
                    for line in self._driver.stdout
                    if (found := re.search(r"started successfully on port (\d+)", line))
                ),
                "",
            )
            self._address = f"http://127.0.0.1:{port}"
            options = {
                "binary": shutil.which("chromium"),
                "args": [*SWITCHES, f"--user-data-dir={self._profile.name}"],
            }
            wanted = {
                "capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
            }
            self._session = f"/session/{self._ask('POST', '/session', wanted)['sessionId']}"
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def open(self, url: str, *expected: str, seconds: float = 60) -> str:
        """The visible text of the page at `url`, once it holds every text of `expected`. Raises BrowserError with what is there instead."""
        self._ask("POST", f"{self._session}/url", {"url": url})
        deadline = time.monotonic() + seconds
        while True:
            text = self.text()
            missing = [wanted for wanted in expected if wanted not in text]
            if not missing:
                return text
            if time.monotonic() > deadline:
                raise BrowserError(f"{url}: no {missing} after {seconds:.0f} s. The page says:\n{text}")
            time.sleep(0.2)

    def settle(self, seconds: float = 20) -> str:
        """The visible text of the page, once it has stayed the same for a while."""
        deadline = time.monotonic() + seconds
        text, since = self.text(), time.monotonic()
        while time.monotonic() < min(deadline, since + SETTLE):
            time.sleep(0.2)
            if (now := self.text()) != text:
                text, since = now, time.monotonic()
        return text

    def text(self) -> str:
        """The visible text of the page."""
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def run(self, script: str) -> Any:
        """What a JavaScript function's body returns."""
        return self._ask("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def screenshot(self, path: Path) -> None:
        """A PNG of what is in the window."""
        path.write_bytes(base64.b64decode(self._ask("GET", f"{self._session}/screenshot")))

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._address}{path}", data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=120
            ) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def _end(self) -> None:
        try:
            if self._session:
                self._ask("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.communicate()
            self._profile.cleanup()


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        print("Usage: .venv/bin/python infra/browser.py URL FILE.png", file=sys.stderr)
        return 2
    try:
        with Browser() as browser:
            browser.open(arguments[0])
            browser.settle()
            browser.screenshot(Path(arguments[1]))
    except BrowserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
