"""Controls a real browser, Debian's Chromium, over W3C WebDriver. Tests use it to read web pages.

This command saves a screenshot of the page URL:

    .venv/bin/python infra/browser.py URL FILE.png
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
    "--no-sandbox",  # the sandbox does not work for root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # pages cannot reach any other machine
    "--window-size=1500,1000",
)
SETTLED_AFTER = 1.5  # seconds; a page whose text has not changed for so long counts as complete


class BrowserError(Exception):
    """A page does not show an expected text, or the browser failed. The message says what happened."""


class Browser:
    """One Chromium with its own profile. A `with` block starts it, stops it, and deletes the profile."""

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
                    match[1]
                    for line in self._driver.stdout
                    if (match := re.search(r"started successfully on port (\d+)", line))
                ),
                "",
            )
            self._address = f"http://127.0.0.1:{port}"
            options = {
                "binary": shutil.which("chromium"),
                "args": [*SWITCHES, f"--user-data-dir={self._profile.name}"],
            }
            logging = {"browser": "ALL"}
            capabilities = {
                "alwaysMatch": {
                    "browserName": "chrome",
                    "goog:chromeOptions": options,
                    "goog:loggingPrefs": logging,
                }
            }
            session = self._send("POST", "/session", {"capabilities": capabilities})
            self._session = f"/session/{session['sessionId']}"
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def open(self, url: str, *expected: str, seconds: float = 60) -> str:
        """Opens `url`, waits until the page shows every text of `expected`, and returns the page's visible
        text.

        Raises BrowserError if a text is still missing after `seconds`. The error contains the page's text.
        """
        self._send("POST", f"{self._session}/url", {"url": url})
        return self.wait_for(*expected, seconds=seconds)

    def wait_for(self, *expected: str, seconds: float = 60) -> str:
        """Waits until the page shows every text of `expected`. Returns the page's visible text.

        Raises BrowserError if a text is still missing after `seconds`. The error contains the page's text.
        """
        deadline = time.monotonic() + seconds
        while True:
            text = self.text()
            missing = [phrase for phrase in expected if phrase not in text]
            if not missing:
                return text
            if time.monotonic() > deadline:
                url = self.run("return location.href")
                raise BrowserError(
                    f"{url}: {missing} not found within {seconds:.0f} s. The page's text:\n{text}"
                )
            time.sleep(0.2)

    def wait_until(self, script: str, seconds: float = 60) -> None:
        """Runs `script` again and again until it returns true. Raises BrowserError after `seconds`."""
        deadline = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > deadline:
                raise BrowserError(f"The script did not return true within {seconds:.0f} s: {script}")
            time.sleep(0.1)

    def settle(self, seconds: float = 20) -> str:
        """Waits until the page's visible text stops changing, but not longer than `seconds`. Returns the
        text."""
        deadline = time.monotonic() + seconds
        text, unchanged_since = self.text(), time.monotonic()
        while time.monotonic() < min(deadline, unchanged_since + SETTLED_AFTER):
            time.sleep(0.2)
            if (new_text := self.text()) != text:
                text, unchanged_since = new_text, time.monotonic()
        return text

    def text(self) -> str:
        """Returns the visible text of the page."""
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def run(self, script: str) -> Any:
        """Runs `script`, the body of a JavaScript function, in the page. Returns the function's result."""
        return self._send("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def emulate(self, width: int, theme: str = "light") -> None:
        """Shows pages as on a screen that is `width` pixels wide, to a user who prefers the `theme` "light"
        or "dark"."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self._devtools("Emulation.setEmulatedMedia", features=features)

    def emulate_time_zone(self, zone: str) -> None:
        """Shows pages as in this time zone, for example "Asia/Shanghai"."""
        self._devtools("Emulation.setTimezoneOverride", timezoneId=zone)

    def console(self) -> list[str]:
        """Returns the messages that were added to the browser's console since the last call, for example that
        a script failed, or that a content security policy blocked something."""
        return [
            entry["message"] for entry in self._send("POST", f"{self._session}/se/log", {"type": "browser"})
        ]

    def _devtools(self, command: str, **parameters: Any) -> None:
        body = {"cmd": command, "params": parameters}
        self._send("POST", f"{self._session}/goog/cdp/execute", body)

    def screenshot(self, path: Path) -> None:
        """Saves a PNG of the visible part of the page."""
        path.write_bytes(base64.b64decode(self._send("GET", f"{self._session}/screenshot")))

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._address}{path}", data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=120
            ) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def _stop(self) -> None:
        try:
            if self._session:
                self._send("DELETE", self._session)
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
