"""`make up`: Airflow and MLflow on this machine alone, over the lake that the settings name, until Ctrl-C.

.venv/bin/python infra/up.py [--airflow-port 8080] [--mlflow-port 5000] [--clock]

Settings come from the environment (`TITLER_LAKE__ROOT=...`), and Airflow's tasks get the same. Airflow's own files lie in the
lake's folder `airflow`. Whatever is started, tasks and their children included, ends with it.
"""

from __future__ import annotations

import argparse
import fcntl
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from local_airflow import LOOPBACK, REPOSITORY, AirflowError, LocalAirflow, end_on_signals
from pipeline.errors import TitlerError
from pipeline.settings import Settings, load
from pipeline.tracking import MLFLOW_ENVIRONMENT

MLFLOW_PAGE = (
    "#/experiments?workflowType=machine_learning"  # without it MLflow shows its side for generative AI first
)
BY_HAND = "DAGs are started by hand here, not by the clock: the button Trigger of a DAG's page, a backfill in the same menu."
BY_CLOCK = "DAGs start as they are scheduled: yesterday's issues now, a release after each day that came, all of it every night."
READY = 120  # seconds that MLflow may take; ten are usual
QUIET = {
    **MLFLOW_ENVIRONMENT,
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}  # its jobs judge traces, of which Titler has none


def check_port(port: int, option: str) -> None:
    """Raises AirflowError where something listens at `port` already; `option` is what names another one."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a port of which only closed connections are left is free
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise AirflowError(
                f"Port {port} of {LOOPBACK} cannot be used ({error.strerror}). Choose another:  make up {option}={port + 1}"
            ) from None


def airflow_home(settings: Settings) -> Path:
    """The lake's folder `airflow`; ./lake/airflow where the lake is a bucket."""
    root = settings.lake.root.removeprefix("file://")
    return REPOSITORY / ("lake" if "://" in root else root) / "airflow"


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Holds `home` against a second `make up`, which would end the first one's processes. Raises AirflowError where it is held."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AirflowError(
                f"Another `make up` runs on {home}. End it first, or name another lake:  TITLER_LAKE__ROOT=... make up"
            ) from None
        yield


def _start_mlflow(airflow: LocalAirflow, store: str, port: int) -> str:
    """The address of its pages, once they answer."""
    Path(store.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    artifacts = airflow.home.parent / "mlflow"
    airflow.start(
        "mlflow", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1", "--backend-store-uri", store,
        "--default-artifact-root", str(artifacts), "--no-serve-artifacts",
    )  # fmt: skip
    address = f"http://{LOOPBACK}:{port}"
    deadline = time.monotonic() + READY
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        airflow.check()
        try:
            with opener.open(f"{address}/health", timeout=30):
                return address
        except OSError:  # not listening yet
            time.sleep(0.2)
    raise AirflowError(f"MLflow was not ready after {READY} s. Its log: {airflow.home}/mlflow.log")


def _serve(airflow_port: int, mlflow_port: int, clock: bool) -> NoReturn:
    settings = load()
    store = settings.tracking_uri
    check_port(airflow_port, "AIRFLOW_PORT")
    if store.startswith("sqlite:///"):
        check_port(mlflow_port, "MLFLOW_PORT")
    lake = settings.lake.root
    environment = {"TITLER_LAKE__ROOT": lake if "://" in lake else str(Path(lake).absolute()), **QUIET}
    airflow = LocalAirflow(airflow_home(settings), environment, airflow_port, clock=clock)
    with alone(airflow.home):
        print("Airflow and MLflow start, on loopback ...", flush=True)
        try:
            _run(airflow, store, mlflow_port, environment["TITLER_LAKE__ROOT"])
        finally:
            print("All that was started has ended.", flush=True)


def _run(airflow: LocalAirflow, store: str, mlflow_port: int, lake: str) -> NoReturn:
    with airflow:
        mlflow = (
            _start_mlflow(airflow, store, mlflow_port)
            if store.startswith("sqlite:///")
            else store.rstrip("/")
        )
        print(
            f"\nAirflow  {airflow.address}   no password: whoever opens it is the user Anonymous, an admin"
            f"\nMLflow   {mlflow}/{MLFLOW_PAGE}   no user, no password"
            f"\nLake     {lake}"
            f"\nLogs     {airflow.home}/*.log"
            f"\n\n{BY_CLOCK if airflow.clock else BY_HAND}"
            "\nCtrl-C ends both.",
            flush=True,
        )
        while True:
            airflow.check()
            time.sleep(1)


def main() -> int:
    """Returns 1 or 2, with one clear line, when something failed; otherwise it goes on until a signal."""
    parser = argparse.ArgumentParser(
        prog="up.py", description="Airflow and MLflow on loopback, until Ctrl-C."
    )
    parser.add_argument("--airflow-port", metavar="PORT", type=int, default=8080, help="8080")
    parser.add_argument("--mlflow-port", metavar="PORT", type=int, default=5000, help="5000")
    parser.add_argument(
        "--clock", action="store_true", help="start DAGs as they are scheduled, not by hand alone"
    )
    chosen = parser.parse_args()
    end_on_signals()
    try:
        _serve(chosen.airflow_port, chosen.mlflow_port, chosen.clock)
    except (AirflowError, TitlerError, OSError) as error:
        print(error, file=sys.stderr)
        return error.exit_code if isinstance(error, TitlerError) else 1


if __name__ == "__main__":
    sys.exit(main())
