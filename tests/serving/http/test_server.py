"""`titler serve` as a process, asked over HTTP: answers, token, limits, new releases, and its end.

A worker process is stopped (SIGSTOP) where a test needs one that is busy, and continued later.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.lake.batches import Lake
from pipeline.releases.current import current_release_id, point_to
from pipeline.serving import queries
from pipeline.settings import Settings

TOKEN = "s3cret-token-Ω"
BODY = "The window closes when I press Enter twice, says Zanzibar"
DEADLINE = 120  # seconds after which a test fails instead of waiting on
BEARER = {"Authorization": f"Bearer {TOKEN}".encode()}
Response = tuple[int, Any, dict[str, str]]


@dataclass(frozen=True)
class Server:
    """A running server, and the lake that it serves."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    settings: Settings

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake.root)

    def request(
        self,
        path: str,
        content: Any = None,
        headers: Any = BEARER,
        raw: bytes | None = None,
        method: str | None = None,
    ) -> Response:
        """Sends a request with the method GET, or POST if it has a content, or `method`. Returns status, JSON
        value and headers, whose names are in lower case."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        sent = raw if content is None else json.dumps(content).encode()
        kind = {} if sent is None else {"Content-Type": "application/json"}
        method = method or ("GET" if sent is None else "POST")
        connection.request(method, path, sent, {**kind, **headers})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        return (
            response.status,
            json.loads(text) if is_json and text else text,
            {name.lower(): value for name, value in response.headers.items()},
        )

    def metric(self, name: str) -> float:
        (value,) = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.request("/metrics")[1], re.MULTILINE)
        return float(value)

    @contextmanager
    def stopped_worker(self) -> Iterator[None]:
        """Stops the worker within the `with` block."""
        workers = [
            child
            for child in psutil.Process(self.process.pid).children()
            if "spawn_main" in str(child.cmdline())
        ]
        for worker in workers:
            worker.suspend()
        try:
            yield
        finally:
            for worker in workers:
                worker.resume()

    def publish_copy(self, name: str, change: Callable[[str], str] = str) -> None:
        """Makes a copy of the current release current. `change` changes the text of its plan."""
        current = str(current_release_id(self.lake))
        releases = Path(self.settings.lake.root) / "releases"
        shutil.copytree(releases / current, releases / name)
        for file, changed in (
            ("plan.json", lambda text: change(text.replace(current, name))),
            ("release.json", lambda text: text.replace(current, name)),
        ):
            path = releases / name / file
            path.write_text(changed(path.read_text()))
        point_to(self.lake, name)


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def running_server(copied_lake: Settings, folder: Path) -> Iterator[Server]:
    """Starts a server with one worker. Its log and its cache are in `folder`."""
    environment = {
        **os.environ,
        "TITLER_LAKE__ROOT": copied_lake.lake.root,
        "TITLER_LAKE__CACHE": str(folder / "cache"),
        "TITLER_SERVE__TOKEN": TOKEN,
        "TITLER_SERVE__WORKERS": "1",
        "TITLER_SERVE__MAX_WAITING": "1",
        "TITLER_SERVE__MAX_REQUEST_BYTES": "2000",
        "TITLER_SERVE__MAX_BATCH": "2",
        "TITLER_SERVE__TIMEOUT_SECONDS": str(DEADLINE),
        "TITLER_SERVE__REFRESH_SECONDS": "0.2",
    }
    log = folder / "log"
    command = [sys.executable, "-m", "pipeline.cli", "serve", "--port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or b"answers at" in log.read_bytes())
        (port,) = re.findall(r"answers at http://127\.0\.0\.1:(\d+)\.", log.read_text())
        started = Server(process, int(port), log, copied_lake)
        wait_until(lambda: started.request("/ready")[0] == 200)
        yield started
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server(copied_lake: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(copied_lake, tmp_path_factory.mktemp("server")) as server:
        yield server


def test_a_title_is_the_answer_of_the_command_line(server: Server) -> None:
    status, content, _ = server.request("/title", {"body": BODY})
    assert (status, content) == (200, queries.title(server.lake, BODY))


def test_a_batch_has_an_answer_for_each_body_and_the_model_abstains_without_one(server: Server) -> None:
    status, answers, _ = server.request("/title", [{"body": BODY}, {"body": None}])
    assert status == 200
    assert answers[0] == queries.title(server.lake, BODY)
    assert answers[1] == {
        "title": "",
        "confidence": 0.0,
        "abstained": True,
        "withheld": None,
        "probability": None,
    }


def test_similar_issues_of_a_text_and_of_an_issue_are_those_of_the_command_line(server: Server) -> None:
    query = queries.SimilarQuery(BODY)
    of_text = queries.similar(server.lake, server.settings, query, 2)
    assert server.request("/similar", {"text": BODY, "k": 2})[:2] == (200, of_text)
    url = of_text[0]["issue_url"]
    of_issue = queries.similar(server.lake, server.settings, queries.SimilarQuery(url), 3)
    assert server.request("/similar", {"address": url, "k": 3})[:2] == (200, of_issue)


def test_an_issue_has_its_stored_title_and_neighbours(server: Server) -> None:
    url = queries.similar(server.lake, server.settings, queries.SimilarQuery(BODY), 1)[0]["issue_url"]
    status, issue, _ = server.request(
        f"/issues/{url.removeprefix('https://github.com/').replace('issues/', '')}"
    )
    assert status == 200
    assert (issue["issue_url"], issue["release"]) == (url, current_release_id(server.lake))
    assert issue["abstained"] == (issue["predicted_title"] == "")
    everywhere = [row for row in issue["similar"] if row["list"] == "everywhere"]
    assert [row["rank"] for row in everywhere] == list(range(1, len(everywhere) + 1))
    assert {"issue_url", "title", "distance", "probability", "suggested"} < everywhere[0].keys()


@pytest.mark.parametrize(
    ("path", "content", "status", "error"),
    [
        ("/issues/a/b/7", None, 404, "has no issue https://github.com/a/b/issues/7."),
        ("/issues/a/b/x", None, 422, "number: a text was found."),
        ("/issues/a/b/0", None, 422, "number: the number is too small."),
        ("/issues/a%20b/c/1", None, 422, "owner: the text is not the name of an account."),
        ("/issues/a/b%20c/1", None, 422, "repo: the text is not the name of a repository."),
        ("/similar", {"text": BODY, "repo": "a/b"}, 404, "has no issue of the repository a/b."),
        ("/similar", {"address": "a/b#7"}, 404, "has no issue https://github.com/a/b/issues/7."),
        ("/title", {"body": 5}, 422, "body: a number was found."),
        ("/title", [{"body": "x"}] * 3, 413, "The list has 3 issues."),
        ("/title", {"body": "x" * 2000}, 413, "The body of the request has more than 2,000 bytes."),
        ("/title", None, 405, "The method GET is not possible for this path."),
        ("/nosuch", None, 404, "The server has no such path."),
        ("/ready/", None, 404, "The server has no such path."),
    ],
)
def test_a_mistake_is_answered_with_what_was_found_and_expected(
    server: Server, path: str, content: Any, status: int, error: str
) -> None:
    answered, content, _ = server.request(path, content)
    assert answered == status
    assert content["error"].endswith(error)
    assert content["expected"]


def test_a_body_that_is_not_json_or_not_declared_as_json_is_refused(server: Server) -> None:
    assert server.request("/title", raw=b"{")[1]["error"].startswith("The body of the request is not JSON: ")
    assert server.request("/title", raw=b'{"body": "\xff"}')[1]["error"] == (
        "The body of the request cannot be read."
    )
    status, content, _ = server.request("/title", raw=b"{}", headers={**BEARER, "Content-Type": "text/plain"})
    assert (status, content["error"]) == (415, "The header Content-Type is text/plain.")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/title", 415), ("/", 405), ("/health", 405), ("/issues/a/b/1", 405), ("/nosuch", 404)],
)
def test_only_a_path_that_takes_bodies_needs_a_content_type(server: Server, path: str, status: int) -> None:
    assert server.request(path, method="POST")[0] == status


@pytest.mark.parametrize("path", ["/", "/docs", "/health", "/ready"])
def test_head_has_the_status_of_get_and_no_body(server: Server, path: str) -> None:
    assert server.request(path, method="HEAD")[:2] == (200, "")


def test_a_body_without_a_declared_length_is_read_up_to_the_limit(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    # In one piece: the server answers and closes when it has read too much, and a later piece would fail.
    body = b'{"body": "' + b"x" * 2000 + b'"}'
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    headers = {"Content-Type": b"application/json", "Transfer-Encoding": b"chunked"}
    connection.request("POST", "/title", chunks, headers | BEARER)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        (b"Bearer wrong", 401),
        (b"Bearer", 401),
        (b"Basic !", 401),
        (f"Bearer {TOKEN}".encode(), 200),
        (b"Basic " + base64.b64encode(f"anybody:{TOKEN}".encode()), 200),
    ],
)
def test_only_who_has_the_token_is_answered(server: Server, authorization: bytes | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answered, content, received = server.request("/ready", headers=headers)
    assert answered == status
    assert ("www-authenticate" in received) == (status == 401)
    assert "error" in content or content["ready"]


def test_health_needs_no_token(server: Server) -> None:
    assert server.request("/health", headers={})[:2] == (200, {"status": "up"})


def test_the_pages_and_the_openapi_document_are_served(server: Server) -> None:
    assert "<h1>A title and similar issues</h1>" in server.request("/")[1]
    assert "POST /similar" in server.request("/docs")[1]
    assert set(server.request("/openapi.json")[1]["paths"]) == {
        "/title",
        "/similar",
        "/issues/{owner}/{repo}/{number}",
        "/health",
        "/ready",
        "/metrics",
    }


def in_background(send: Callable[[], Response]) -> Future[Response]:
    executor = ThreadPoolExecutor(1)
    future = executor.submit(send)
    executor.shutdown(wait=False)
    return future


def test_a_request_beyond_those_that_may_wait_is_refused_at_once(server: Server) -> None:
    with server.stopped_worker():
        computed = in_background(lambda: server.request("/title", {"body": BODY}))
        wait_until(lambda: server.metric("titler_workers_busy") == 1)
        waiting = in_background(lambda: server.request("/title", {"body": BODY}))
        wait_until(lambda: server.metric("titler_requests_waiting") == 1)
        status, content, headers = server.request("/title", {"body": BODY})
        assert (status, headers["retry-after"]) == (503, "1")
        assert content["error"] == "All workers are busy, and 1 requests are waiting for them."
    assert [computed.result()[0], waiting.result()[0]] == [200, 200]


def test_a_new_release_is_served_and_a_request_in_flight_is_answered_by_the_old_one(server: Server) -> None:
    with server.stopped_worker():
        in_flight = in_background(lambda: server.request("/title", {"body": BODY}))
        wait_until(lambda: server.metric("titler_workers_busy") == 1)
        server.publish_copy("second")
        wait_until(lambda: server.request("/ready")[1]["release"] == "second")
        assert server.request("/title", {"body": BODY})[0] == 200
        assert not in_flight.done()
    assert in_flight.result()[0] == 200


def test_a_release_that_cannot_be_opened_leaves_the_other_one_serving(server: Server) -> None:
    served = current_release_id(server.lake)
    server.publish_copy("broken", lambda plan: plan.replace("predictor/model=", "predictor/nosuch="))
    wait_until(lambda: server.request("/ready")[1]["problem"] is not None)
    status, ready, _ = server.request("/ready")
    assert (status, ready["ready"], ready["release"]) == (200, True, served)
    assert "predictor/nosuch=" in ready["problem"]
    assert server.metric("titler_release_problem") == 1
    assert server.request("/title", {"body": BODY})[0] == 200
    assert f"release {served} is still served" in server.log.read_text()
    point_to(server.lake, str(served))
    wait_until(lambda: server.request("/ready")[1]["problem"] is None)


def test_at_its_end_the_server_answers_what_was_begun_and_has_logged_no_text(
    copied_lake: Settings, tmp_path: Path
) -> None:
    with running_server(copied_lake, tmp_path) as server:
        assert server.request("/similar", {"text": BODY})[0] == 200
        assert server.request("/title", {"body": [BODY]})[0] == 422
        with server.stopped_worker():
            in_flight = in_background(lambda: server.request("/title", {"body": BODY}))
            wait_until(lambda: server.metric("titler_workers_busy") == 1)
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not accepts_connections(server.port))
        assert in_flight.result()[0] == 200
        assert server.process.wait(DEADLINE) == 0
    log = server.log.read_text()
    assert "INFO pipeline.serving.http.gate: POST /title 200 " in log
    assert [word for word in ("Zanzibar", TOKEN, "Traceback") if word in log] == []


def accepts_connections(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True
