"""`make up` as a person runs it: a command in a process group of its own, both pages, then Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_airflow import LOOPBACK, AirflowError, LocalAirflow, free_port
from pipeline.settings import LakeSettings, Settings
from tests.support.receivers import serving
from up import airflow_home, check_port, exclusive_lock, mlflow_page

SCRIPT = Path(__file__).resolve().parents[2] / "infra" / "up.py"


def start(lake: Path, *options: str) -> subprocess.Popen[str]:
    """`infra/up.py` in a process group of its own, as a shell starts a command, so that a Ctrl-C is a
    signal to the group."""
    environment = {**os.environ, "TITLER_LAKE__ROOT": str(lake), "TITLER_SOURCE__HOURS": str(lake)}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def page(port: int, path: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"http://{LOOPBACK}:{port}{path}", timeout=30
    ) as answer:
        return str(answer.read().decode())


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.fixture(scope="module")
def stay(tmp_path_factory):
    """What was seen while it ran, and what was left after Ctrl-C."""
    lake = tmp_path_factory.mktemp("up") / "lake"
    airflow, mlflow = free_port(), free_port()
    started = start(lake, "--airflow-port", str(airflow), "--mlflow-port", str(mlflow))
    assert started.stdout is not None
    told = []
    try:
        for line in started.stdout:  # ends with the process, should it fail
            told.append(line)
            if "Press Ctrl-C" in line:
                break
        family = LocalAirflow(lake / "airflow", {}).processes()
        commands = [" ".join(process.cmdline()) for process in family]
        found: dict[str, Any] = {
            "told": "".join(told),
            "ports": (airflow, mlflow),
            "airflow": page(airflow, "/"),
            "mlflow": page(mlflow, "/"),
            "running": {
                name
                for name in ("scheduler", "triggerer", "mlflow")
                if any(name in command for command in commands)
            },
            "addresses": {
                connection.laddr.ip
                for process in family
                for connection in process.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN
            },
            "second": start(
                lake, "--airflow-port", str(free_port()), "--mlflow-port", str(free_port())
            ).communicate()[0],
            "taken": start(lake, "--airflow-port", str(airflow)).communicate()[0],
        }
    finally:
        os.killpg(started.pid, signal.SIGINT)
        last = started.stdout.read()
        code = started.wait()
    found["last"], found["code"] = last, code
    found["left"] = LocalAirflow(lake / "airflow", {}).processes()
    found["listening"] = [port for port in (airflow, mlflow) if listens(port)]
    return found


def test_it_prints_the_addresses_the_user_and_the_lake(stay):
    airflow, mlflow = stay["ports"]
    assert f"Airflow  http://127.0.0.1:{airflow}   no password" in stay["told"]
    assert f"MLflow   http://127.0.0.1:{mlflow}/#/experiments" in stay["told"]
    assert "\nLake     /" in stay["told"]


def test_both_pages_answer(stay):
    assert ("<title>Airflow</title>" in stay["airflow"], "<title>MLflow</title>" in stay["mlflow"]) == (
        True,
        True,
    )


def test_everything_runs_and_listens_on_loopback_only(stay):
    assert (stay["running"], stay["addresses"]) == ({"scheduler", "triggerer", "mlflow"}, {"127.0.0.1"})


def test_ctrl_c_ends_all_of_it_and_frees_both_ports(stay):
    assert (stay["code"], stay["left"], stay["listening"]) == (130, [], [])
    assert stay["last"].splitlines()[-1] == "Airflow and MLflow are stopped."


def test_a_second_one_on_the_same_lake_leaves_the_first_alone(stay):
    assert "Another `make up` runs in " in stay["second"]
    assert "TITLER_LAKE__ROOT=... make up" in stay["second"]


def test_a_port_in_use_is_one_clear_line(stay):
    port = stay["ports"][0]
    assert (
        stay["taken"] == f"Port {port} of 127.0.0.1 cannot be used (Address already in use). "
        f"Choose another port:  make up AIRFLOW_PORT={port + 1}\n"
    )


def test_a_setting_that_is_none_is_answered_as_everywhere(tmp_path):
    environment = {**os.environ, "TITLER_LAKE__ROOTS": "x"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("TITLER_LAKE__ROOTS: no such setting; the nearest is TITLER_LAKE__ROOT.\n")


def test_a_free_port_passes():
    check_port(free_port(), "AIRFLOW_PORT")


@pytest.mark.parametrize(
    ("root", "home"), [("/data/lake", "/data/lake/airflow"), ("file:///data/lake", "/data/lake/airflow")]
)
def test_airflow_lies_inside_the_lake(root, home):
    assert airflow_home(Settings(lake=LakeSettings(root=root))) == Path(home)


def test_airflow_lies_here_where_the_lake_is_a_bucket():
    assert (
        airflow_home(Settings(lake=LakeSettings(root="gs://bucket/lake")))
        == SCRIPT.parents[1] / "lake" / "airflow"
    )


def test_a_folder_is_held_only_as_long_as_needed(tmp_path):
    running = pytest.raises(AirflowError, match="Another `make up` runs in")
    with exclusive_lock(tmp_path), running, exclusive_lock(tmp_path):
        pass
    with exclusive_lock(tmp_path):
        pass


class Experiments(BaseHTTPRequestHandler):
    """An MLflow that has the experiment `titler`, with the id 7, and no other."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path.endswith("get-by-name?experiment_name=titler") else 404)
        self.end_headers()
        self.wfile.write(b'{"experiment": {"experiment_id": "7"}}')

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing."""


def test_the_address_of_mlflow_leads_to_the_trainings_once_there_are_any() -> None:
    with serving(HTTPServer((LOOPBACK, 0), Experiments)) as server:
        address = f"http://{LOOPBACK}:{server.server_port}"
        assert [mlflow_page(address, name).removeprefix(address) for name in ("titler", "other")] == [
            "/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=titler",
            "/#/experiments?workflowType=machine_learning",
        ]
