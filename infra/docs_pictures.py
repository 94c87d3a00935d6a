"""Draws the pictures of the documentation, from the release that `make demo` publishes: its report, the page
of `titler serve`, and the list of trainings in MLflow.

    .venv/bin/python infra/docs_pictures.py [LAKE]

LAKE is the folder of a lake, by default ./demo/lake. The script starts both servers on free ports of
loopback, and stops them. It needs Chromium, which infra/install_browser.sh installs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from browser import Browser, BrowserError
from local_airflow import free_port
from readme_picture import REPOSITORY, PictureError
from up import mlflow_page

PICTURES = REPOSITORY / "docs" / "images"
PROGRAMS = REPOSITORY / ".venv" / "bin"
LOOPBACK = "127.0.0.1"
SCREENS = ((1440, "light"), (1440, "dark"), (360, "light"), (360, "dark"))
START_TIMEOUT = 180  # seconds, for a server to respond
ISSUE = """
SELECT title_predictions.title, title_predictions.body_excerpt, title_predictions.repo
FROM similar_issues JOIN title_predictions USING (issue_id)
WHERE suggested AND list = 'repository' AND predicted_title != ''
ORDER BY similar_issues.probability DESC, issue_id
LIMIT 1
"""
PASTE = """
for (const [name, text] of Object.entries(%s)) document.getElementById(name).value = text;
document.querySelector("#form button").click();
"""


def current_report(lake: Path) -> Path:
    """Returns the path of the lake's newest report about a release. Raises PictureError if there is none."""
    reports = sorted(lake.glob("releases/*/report.html"))
    if not reports:
        raise PictureError(f"{lake} has no report of a release. Publish one first:  make demo")
    return reports[-1]


def pasted_issue(lake: Path) -> dict[str, str]:
    """Returns an issue of the current release that has a suggested duplicate, as a dict with the keys
    `title`, `body` and `repo`. Raises PictureError if there is none."""
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as warehouse:
        row = warehouse.execute(ISSUE).fetchone()
    if row is None:
        raise PictureError(f"{lake} has no issue with a suggested duplicate. Try:  make demo")
    return dict(zip(("title", "body", "repo"), row, strict=True))


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], health: str) -> Iterator[None]:
    """Starts a server, and runs the `with` block as soon as the address `health` responds. Stops the server
    after the block. Raises PictureError if the server ends before it responds, or does not respond within
    START_TIMEOUT."""
    variables = {**os.environ, **environment}
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as server:
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not responds(health):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise PictureError(
                        f"No response from {health}. The server was started with:  {' '.join(command)}"
                    )
                time.sleep(0.2)
            yield
        finally:
            server.terminate()
            server.communicate()


def responds(address: str) -> bool:
    """Returns whether the address answers a GET request with a status below 400."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=10):
            return True
    except OSError:
        return False


def draw_report(browser: Browser, lake: Path) -> None:
    """Draws the upper part of the report on each of the SCREENS."""
    for width, theme in SCREENS:
        browser.emulate(width, theme)
        browser.open(current_report(lake).as_uri(), "What is in it, and what changed")
        browser.screenshot(PICTURES / f"report-{width}-{theme}.png")
    browser.emulate(1440)


def draw_try_page(browser: Browser, lake: Path) -> None:
    """Draws the page of `titler serve` with the answers for an issue that is pasted into it."""
    port = free_port()
    address = f"http://{LOOPBACK}:{port}"
    command = [str(PROGRAMS / "titler"), "serve", "--port", str(port)]
    with running(command, {"TITLER_LAKE__ROOT": str(lake)}, f"{address}/ready"):
        browser.open(address, "A title and similar issues")
        browser.run(PASTE % json.dumps(pasted_issue(lake)))
        browser.wait_for("In the same repository", "confidence")
        browser.settle()
        browser.screenshot(PICTURES / "serve.png")


def draw_trainings(browser: Browser, lake: Path) -> None:
    """Draws MLflow's list of the trainings, with the columns that Titler selects."""
    port = free_port()
    address = f"http://{LOOPBACK}:{port}"
    command = [
        str(PROGRAMS / "mlflow"), "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{lake}/mlflow.db",
        "--default-artifact-root", str(lake / "mlflow"),
    ]  # fmt: skip
    browser.emulate(1800)  # so that the table has room beside MLflow's assistant
    with running(command, {}, f"{address}/health"):
        browser.open(mlflow_page(address, "titler"), "titles/rougeL", "matching run", seconds=120)
        browser.settle()
        browser.screenshot(PICTURES / "mlflow.png")


def main(arguments: Sequence[str]) -> int:
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print("Usage: .venv/bin/python infra/docs_pictures.py [LAKE]", file=sys.stderr)
        return 2
    lake = (Path(*arguments) if arguments else REPOSITORY / "demo" / "lake").absolute()
    PICTURES.mkdir(parents=True, exist_ok=True)
    try:
        with Browser() as browser:
            for draw in (draw_report, draw_try_page, draw_trainings):
                draw(browser, lake)
    except (PictureError, BrowserError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{PICTURES.relative_to(REPOSITORY)}: {', '.join(sorted(path.name for path in PICTURES.iterdir()))}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
