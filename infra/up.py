"""The script behind `make up`. It runs Airflow and MLflow on this machine until Ctrl-C.

    .venv/bin/python infra/up.py [--airflow-port 8080] [--mlflow-port 5000] [--clock]

Titler's settings, such as the address of the lake, come from environment variables (`TITLER_LAKE__ROOT=...`).
Airflow's tasks inherit these variables. Airflow's own files are in the folder `airflow` of the lake. When the
script stops, it stops every process that it started, including tasks and their children.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import socket
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from local_airflow import LOOPBACK, REPOSITORY, AirflowError, LocalAirflow, exit_on_signals
from pipeline.errors import TitlerError
from pipeline.settings import Settings, load
from pipeline.tracking import MLFLOW_ENVIRONMENT, VIEW_QUERY

# Without the parameter workflowType, MLflow opens its pages for generative AI.
WORKFLOW = "workflowType=machine_learning"
NOT_SCHEDULED = """\
Schedules are off: start a DAG with the button Trigger on its page; the same menu has Backfill.
To run DAGs on their schedules:  make up CLOCK=1"""
SCHEDULED = """\
Schedules are on: Airflow ingests yesterday's issues now, and each new day once it is over.
A release follows every night, and after each ingested day."""
MLFLOW_TIMEOUT = 120  # seconds; it usually takes ten
# MLflow's job execution evaluates traces; Titler logs none.
MLFLOW_SETTINGS = {**MLFLOW_ENVIRONMENT, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def check_port(port: int, option: str) -> None:
    """Raises AirflowError if `port` cannot be used. The message suggests running `make up` with the next
    port. `option` is the option of `make up` that sets this port."""
    with socket.socket() as probe:
        # With SO_REUSEADDR a port counts as free if only closed connections are left on it.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise AirflowError(
                f"Port {port} of {LOOPBACK} cannot be used ({error.strerror}). "
                f"Choose another port:  make up {option}={port + 1}"
            ) from None


def airflow_home(settings: Settings) -> Path:
    """Returns the folder for Airflow's files. It is the folder `airflow` of the lake, or ./lake/airflow if
    the lake is a bucket."""
    root = settings.lake.root.removeprefix("file://")
    return REPOSITORY / ("lake" if "://" in root else root) / "airflow"


@contextmanager
def exclusive_lock(home: Path) -> Iterator[None]:
    """Locks the folder `home` during a `with` block. Without the lock, a second run of `make up` in the same
    folder would stop the processes of the first.

    Raises AirflowError if another process holds the lock. If that process dies, the lock is released.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AirflowError(
                f"Another `make up` runs in {home}. "
                "Stop it first, or choose another lake:  TITLER_LAKE__ROOT=... make up"
            ) from None
        yield


def _start_mlflow(airflow: LocalAirflow, store: str, port: int) -> str:
    """Starts an MLflow server for the database `store`. Returns its address as soon as it responds."""
    Path(store.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    artifacts = airflow.home.parent / "mlflow"
    airflow.start(
        "mlflow", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1",
        "--backend-store-uri", store, "--default-artifact-root", str(artifacts), "--no-serve-artifacts",
    )  # fmt: skip
    address = f"http://{LOOPBACK}:{port}"
    deadline = time.monotonic() + MLFLOW_TIMEOUT
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        airflow.check()
        try:
            with opener.open(f"{address}/health", timeout=30):
                return address
        except OSError:  # not listening yet
            time.sleep(0.2)
    raise AirflowError(f"MLflow was not ready within {MLFLOW_TIMEOUT} s. Its log: {airflow.home}/mlflow.log")


def mlflow_page(address: str, experiment: str) -> str:
    """Returns the address of MLflow's page to open first: the runs of the experiment, with the columns that
    Titler selects. If there is no training yet, or if MLflow requires a password, returns the address of the
    list of experiments."""
    query = urllib.parse.urlencode({"experiment_name": experiment})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/api/2.0/mlflow/experiments/get-by-name?{query}", timeout=10) as response:
            number = json.load(response)["experiment"]["experiment_id"]
    except (OSError, ValueError, KeyError):
        return f"{address}/#/experiments?{WORKFLOW}"
    return f"{address}/#/experiments/{number}/runs?{WORKFLOW}&{VIEW_QUERY}"


def _serve(airflow_port: int, mlflow_port: int, scheduled: bool) -> NoReturn:
    settings = load()
    store = settings.tracking_uri
    check_port(airflow_port, "AIRFLOW_PORT")
    if store.startswith("sqlite:///"):
        check_port(mlflow_port, "MLFLOW_PORT")
    lake = settings.lake.root
    environment = {
        "TITLER_LAKE__ROOT": lake if "://" in lake else str(Path(lake).absolute()),
        **MLFLOW_SETTINGS,
    }
    airflow = LocalAirflow(airflow_home(settings), environment, airflow_port, scheduled=scheduled)
    with exclusive_lock(airflow.home):
        print("Starting Airflow and MLflow on this machine ...", flush=True)
        try:
            _run(airflow, settings, mlflow_port, environment["TITLER_LAKE__ROOT"])
        finally:
            print("Airflow and MLflow are stopped.", flush=True)


def _run(airflow: LocalAirflow, settings: Settings, mlflow_port: int, lake: str) -> NoReturn:
    store = settings.tracking_uri
    with airflow:
        mlflow = (
            _start_mlflow(airflow, store, mlflow_port)
            if store.startswith("sqlite:///")
            else store.rstrip("/")
        )
        print(
            f"\nAirflow  {airflow.address}   no password: everyone is the user Anonymous, an admin"
            f"\nMLflow   {mlflow_page(mlflow, settings.tracking.experiment)}   no user, no password"
            f"\nLake     {lake}"
            f"\nLogs     {airflow.home}/*.log"
            f"\n\n{SCHEDULED if airflow.scheduled else NOT_SCHEDULED}"
            "\nPress Ctrl-C to stop both.",
            flush=True,
        )
        while True:
            airflow.check()
            time.sleep(1)


def main() -> int:
    """Runs Airflow and MLflow until a signal arrives, and returns the exit code. After a failure, prints the
    error first."""
    parser = argparse.ArgumentParser(
        prog="up.py", description="Runs Airflow and MLflow on this machine until Ctrl-C."
    )
    parser.add_argument(
        "--airflow-port",
        metavar="PORT",
        type=int,
        default=8080,
        help="port of Airflow's pages (8080 by default)",
    )
    parser.add_argument(
        "--mlflow-port",
        metavar="PORT",
        type=int,
        default=5000,
        help="port of MLflow's pages (5000 by default)",
    )
    parser.add_argument(
        "--clock",
        action="store_true",
        help="run DAGs on their schedules instead of only when they are triggered",
    )
    options = parser.parse_args()
    exit_on_signals()
    try:
        _serve(options.airflow_port, options.mlflow_port, options.clock)
    except (AirflowError, TitlerError, OSError) as error:
        print(error, file=sys.stderr)
        return error.exit_code if isinstance(error, TitlerError) else 1


if __name__ == "__main__":
    sys.exit(main())
