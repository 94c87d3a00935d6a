"""The programs of infra/entrypoints/, as the images start them, on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psycopg2
import pytest

from local_airflow import LOOPBACK, free_port
from tests.infra.lint import INFRA, ROOT
from tests.support import postgres

ENTRYPOINTS = INFRA / "entrypoints"
PROGRAMS = Path(sys.executable).parent
PATIENCE = 120  # seconds that a program may take to answer


def environment(**more: str) -> dict[str, str]:
    """This process's own, without what would configure Airflow or titler, with the image's PATH."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "TITLER_", "MLFLOW_"))
    }
    return {**inherited, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", **more}


def healthy(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ENTRYPOINTS / "healthy.py", *arguments],
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def started(log: Path, *command: str | Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the repository, as the image's WORKDIR is; its whole group ends with the `with`."""
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(**more), stdout=written, stderr=written, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_healthy(process: subprocess.Popen[bytes], log: Path, *arguments: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while healthy(*arguments).returncode != 0:
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.3)


@pytest.fixture
def page():
    """Serves what is set as its `answer`."""

    class Page(BaseHTTPRequestHandler):
        answer = (200, "{}")
        authorization: str | None = None

        def do_GET(self) -> None:
            type(self).authorization = self.headers["Authorization"]
            self.send_response(type(self).answer[0])
            self.end_headers()
            self.wfile.write(type(self).answer[1].encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer((LOOPBACK, 0), Page)
    Thread(target=server.serve_forever, daemon=True).start()
    Page.address = f"http://{LOOPBACK}:{server.server_address[1]}/"  # type: ignore[attr-defined]
    yield Page
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "parts", "code"),
    [
        ((200, "OK"), [], 0),
        ((500, "OK"), [], 1),
        ((200, '{"workers": 2}'), ["workers"], 0),
        ((200, '{"workers": 0}'), ["workers"], 1),
        ((200, '{"scheduler": {"status": "healthy"}, "triggerer": {"status": null}}'), ["scheduler"], 0),
        (
            (200, '{"scheduler": {"status": "healthy"}, "triggerer": {"status": null}}'),
            ["scheduler", "triggerer"],
            1,
        ),
        ((200, "{}"), ["scheduler"], 1),
        ((200, "not JSON"), ["scheduler"], 1),
    ],
)
def test_a_service_is_healthy_when_it_says_so(page, answer, parts, code):
    page.answer = answer
    done = healthy(page.address, *parts)
    assert done.returncode == code, done.stderr
    assert bool(done.stderr) == bool(code)


def test_the_token_of_titler_serve_is_sent_if_there_is_one(page):
    assert healthy(page.address).returncode == 0
    assert page.authorization is None
    assert healthy(page.address, TITLER_SERVE__TOKEN="secret").returncode == 0
    assert page.authorization == "Bearer secret"


def test_a_service_that_is_down_is_not_healthy():
    assert healthy(f"http://{LOOPBACK}:{free_port()}/").returncode == 1


def test_an_image_that_serves_nothing_is_healthy():
    assert healthy(HEALTH_URL="").returncode == 0
    assert healthy(HEALTH_URL=f"http://{LOOPBACK}:{free_port()}/").returncode == 1


def test_folders_and_buckets_are_made_once(tmp_path):
    command = (sys.executable, ENTRYPOINTS / "buckets.py", f"file://{tmp_path}/titler")
    told = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)]
    assert told == [f"file://{tmp_path}/titler created\n", f"file://{tmp_path}/titler exists already\n"]


def test_entrypoint_becomes_what_it_is_given():
    done = subprocess.run([ENTRYPOINTS / "entrypoint.sh", "bash", "-c", "exit 7"], check=False)
    assert done.returncode == 7


def test_an_unknown_component_is_refused():
    refused = subprocess.run(
        [ENTRYPOINTS / "airflow.sh", "webserver"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "airflow.sh: found 'webserver', expected init, api-server, scheduler, dag-processor or triggerer."
    )


def test_databases_have_owners_who_can_enter_no_other(tmp_path):
    folder = postgres.programs()
    if folder is None:
        pytest.skip(postgres.MISSING)
    with postgres.running(folder) as address:
        found = re.fullmatch(r"postgresql://(\w+):(\w+)@([\d.]+):(\d+)/postgres", address)
        assert found is not None
        user, _, host, port = found.groups()
        with psycopg2.connect(address) as own_connection, own_connection.cursor() as cursor:
            cursor.execute(
                "CREATE ROLE administrator SUPERUSER LOGIN PASSWORD 'secret'"
            )  # the server's is called as one of those to be made
        with psycopg2.connect(
            host=host, port=port, user="administrator", password="secret", dbname="postgres"
        ) as connection:
            connection.cursor().execute(f"ALTER ROLE {user} RENAME TO formerly")
        own = {"AIRFLOW_DATABASE_PASSWORD": "it's", "MLFLOW_DATABASE_PASSWORD": 'a "b"'}
        server = {"PGHOST": host, "PGPORT": port, "PGUSER": "administrator", "PGPASSWORD": "secret"}
        subprocess.run(
            [ENTRYPOINTS / "databases.sh"], env=environment(**server, **own), check=True, capture_output=True
        )
        # the second time, on standard input, as infra/README.md hands it to a pod, it leaves all as it is
        subprocess.run(
            ["bash"],
            stdin=(ENTRYPOINTS / "databases.sh").open(),
            env=environment(**server, **own),
            check=True,
        )
        psycopg2.connect(host=host, port=port, user="airflow", password="it's", dbname="airflow").close()
        psycopg2.connect(host=host, port=port, user="mlflow", password='a "b"', dbname="mlflow").close()
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            psycopg2.connect(host=host, port=port, user="airflow", password="it's", dbname="mlflow")


def test_the_doctor_reports_a_dask_scheduler_that_answers(tmp_path):
    port, dashboard = free_port(), free_port()
    address, page = f"tcp://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{dashboard}"
    settings = {
        "TITLER_COMPUTE__SCHEDULER_ADDRESS": address,
        "TITLER_LAKE__ROOT": str(tmp_path / "lake"),
        "TITLER_SOURCE__HOURS": str(tmp_path),
    }
    scheduler = (
        PROGRAMS / "dask",
        "scheduler",
        "--host",
        LOOPBACK,
        f"--port={port}",
        f"--dashboard-address={LOOPBACK}:{dashboard}",
    )
    worker = (
        PROGRAMS / "dask",
        "worker",
        address,
        "--nthreads",
        "1",
        "--no-dashboard",
        "--dashboard-address",
        f"{LOOPBACK}:0",
    )
    with started(tmp_path / "scheduler", *scheduler) as first:
        wait_until_healthy(first, tmp_path / "scheduler", f"{page}/health")
        assert healthy(f"{page}/json/counts.json", "workers").returncode == 1  # none yet
        with started(tmp_path / "worker", *worker) as second:
            wait_until_healthy(second, tmp_path / "worker", f"{page}/json/counts.json", "workers")
            report = subprocess.run(
                [PROGRAMS / "titler", "doctor"],
                env=environment(**settings),
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            ).stdout
    assert f"ok     compute      the Dask scheduler {address} answers" in report
