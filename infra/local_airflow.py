"""Runs a real Airflow on this machine: scheduler, DAG processor, triggerer and API server, on loopback.

Airflow's database is SQLite or another database that Airflow supports. `infra/demo.py` and `infra/up.py` run
Airflow with this module. At the end, every process that was started is stopped, including tasks and their
children.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
# The scheduler comes last: a task that it starts before the API server responds fails.
COMPONENTS = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),  # titler_ingest's task `wait` needs it
    "scheduler": ("scheduler", "--skip-serve-logs"),  # its log server would listen on all addresses
}
LOOPBACK = "127.0.0.1"
DATABASE_LOCKED = "database is locked"
MAX_ATTEMPTS = 5  # of an `airflow` command that SQLite refuses with DATABASE_LOCKED

# use_job_schedule: if False, neither the schedule nor an asset starts a run; if True, Airflow ingests
# yesterday as soon as it is up. parallelism: with Airflow's default of 32, SQLite fails with "database is
# locked".
CONFIGURATION = """\
[core]
dags_folder = {dags}
plugins_folder = {dags}/plugins
executor = LocalExecutor
default_timezone = utc
parallelism = 4
load_examples = False
dags_are_paused_at_creation = False
simple_auth_manager_all_admins = True
execution_api_server_url = {address}/execution/
fernet_key = {fernet_key}
[database]
sql_alchemy_conn = {database}
load_default_connections = False
[api]
host = {host}
port = {port}
base_url = {address}
workers = 1
secret_key = {secret_key}
[api_auth]
jwt_secret = {jwt_secret}
[logging]
base_log_folder = {home}/logs
[scheduler]
use_job_schedule = {scheduled}
scheduler_idle_sleep_time = 0.5
[dag_processor]
parsing_processes = 1
min_file_process_interval = 300
"""


class AirflowError(Exception):
    """Airflow, or a program that was started with it, failed. The message says how to find the reason."""


class LocalAirflow:
    """An Airflow whose files are in the folder `home`. A `with` block starts and stops it.

    Airflow's tasks get the environment variables in `environment`. They also get all variables of this
    process, except those that start with AIRFLOW_.
    """

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        port: int = 0,
        database: str | None = None,
        *,
        scheduled: bool = False,
    ) -> None:
        """Configures Airflow, but does not start it.

        - `port`: the port of the API server. Set to 0 for a free port.
        - `database`: SQLAlchemy's address of a database that is empty or has Airflow's tables. The default is
          an SQLite file in `home`.
        - `scheduled`: whether DAGs run on their schedules, or only when they are triggered.
        """
        self.scheduled = scheduled
        self.home = home.resolve()
        # timeout: seconds that a writer waits for a lock; SQLite's default is five.
        self.database = database or f"sqlite:///{self.home}/airflow.db?timeout=60"
        self.port = port or free_port()
        self.address = f"http://{LOOPBACK}:{self.port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        self.environment = {
            **inherited,
            "AIRFLOW_HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            # Keeps /proc/PID/environ readable, though Airflow renames its processes: see `processes`.
            "SPT_NOENV": "1",
            **environment,
        }
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._token = ""

    def __enter__(self) -> LocalAirflow:
        try:
            self.stop()  # an earlier Airflow in this folder may have been killed and left processes
            self._configure()
            self.run("db", "migrate")
            for component, command in COMPONENTS.items():
                if component == "scheduler":
                    self._wait_until_ready(self._api_server_responds)
                    self._create_pool("gpu", 1, "one training at a time")
                self.start(component, "airflow", *command)
            self._wait_until_ready(self._is_ready)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, *arguments: str) -> str:
        """Runs `airflow ARGUMENTS` and returns its standard output. Raises AirflowError if it fails.

        Repeats the command if it failed because the SQLite database was locked. This is safe, because Airflow
        has then undone the whole command. A longer timeout would not help: SQLite refuses a write at once if
        another process has written since the first read of the transaction.
        """
        for _ in range(MAX_ATTEMPTS):
            process = subprocess.run(
                ["airflow", *arguments],
                cwd=self.home,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if process.returncode == 0 or DATABASE_LOCKED not in process.stderr:
                break
        if process.returncode != 0:
            raise AirflowError(
                f"`airflow {' '.join(arguments)}` failed with exit code {process.returncode}\n"
                f"{tail(process.stdout + process.stderr)}"
            )
        return process.stdout

    def start(self, name: str, *command: str) -> None:
        """Starts a program, which is stopped together with Airflow. Its output goes to NAME.log in `home`."""
        with self._log(name).open("wb") as log:
            self._programs[name] = subprocess.Popen(
                command, cwd=self.home, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def get(self, path: str) -> Any:
        """Sends the request GET `/api/v2/PATH` to Airflow's REST API, and returns the JSON of the
        response."""
        return self._call("GET", path)

    def trigger(self, dag_id: str, run_id: str | None = None, logical_date: str | None = None) -> None:
        """Starts a run of a DAG through the REST API. (`airflow dags trigger` would take seconds longer.)"""
        self._call("POST", f"dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": logical_date})

    def check(self) -> None:
        """Raises AirflowError if a started program has ended unexpectedly. The error contains the end of the
        program's log."""
        for name, process in self._programs.items():
            if process.poll() is not None:
                raise AirflowError(
                    f"{name} ended unexpectedly. The end of its log, {self._log(name)}:\n"
                    f"{tail(self._log(name).read_text(errors='replace'))}"
                )

    def processes(self) -> list[psutil.Process]:
        """Returns all processes of this Airflow. They are recognised by their environment variable
        AIRFLOW_HOME, which is the folder `home`.

        It would not be enough to search for child processes, because a task survives if its parent process is
        killed.
        """
        family = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("AIRFLOW_HOME") == str(self.home):
                    family.append(process)
            except psutil.Error:  # the process has ended meanwhile, or belongs to another user
                continue
        return family

    def stop(self) -> None:
        """Stops all processes of this Airflow, including tasks and their children.

        Sends SIGTERM to every process. After five seconds, sends SIGKILL to the processes that still run.
        """
        for send_signal in (psutil.Process.terminate, psutil.Process.kill, psutil.Process.kill):
            family = self.processes()
            for process in family:
                try:
                    send_signal(process)
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(family, timeout=5)
        self._programs.clear()

    def _configure(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        configuration = CONFIGURATION.format(
            address=self.address,
            scheduled=self.scheduled,
            database=self.database.replace("%", "%%"),  # ConfigParser reads %% as one per cent sign
            dags=REPOSITORY / "dags",
            fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
            home=self.home,
            host=LOOPBACK,
            jwt_secret=secrets.token_hex(32),
            port=self.port,
            secret_key=secrets.token_hex(32),
        )
        path = self.home / "airflow.cfg"
        path.touch(mode=0o600)  # it holds keys, and perhaps the database's password
        path.write_text(configuration, encoding="utf-8")

    def _create_pool(self, name: str, slots: int, description: str) -> None:
        """Creates a pool of Airflow, unless the pool exists already."""
        if name not in {pool["name"] for pool in self.get("pools")["pools"]}:
            self._call("POST", "pools", {"name": name, "slots": slots, "description": description})

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if not self._token:
            self._token = _fetch("GET", f"{self.address}/auth/token", {})["access_token"]
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return _fetch(method, f"{self.address}/api/v2/{path}", headers, body)

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _wait_until_ready(self, ready: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            try:
                if ready():
                    return
            except OSError:  # not listening yet
                pass
            time.sleep(0.5)
        raise AirflowError(f"Airflow was not ready within {seconds:.0f} s. Its logs: {self.home}/*.log")

    def _api_server_responds(self) -> bool:
        return bool(self.get("version"))

    def _is_ready(self) -> bool:
        """Returns whether all DAGs are loaded and the scheduler is healthy.

        Raises AirflowError if a DAG cannot be imported.
        """
        errors = self.get("importErrors")["import_errors"]
        if errors:
            raise AirflowError(
                f"{errors[0]['filename']} cannot be imported:\n{tail(errors[0]['stack_trace'])}"
            )
        expected = {path.stem for path in (REPOSITORY / "dags").glob("titler_*.py")}
        loaded = {dag["dag_id"] for dag in self.get("dags")["dags"]}
        return expected <= loaded and self.get("monitor/health")["scheduler"]["status"] == "healthy"


def exit_on_signals() -> None:
    """Makes SIGTERM, SIGHUP and SIGINT raise SystemExit, so that every `with` block is left properly.

    Further signals are ignored.
    """
    signals = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def exit_once(number: int, frame: FrameType | None) -> NoReturn:
        for ignored in signals:
            signal.signal(ignored, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in signals:
        signal.signal(number, exit_once)


def free_port() -> int:
    """Returns a port of the loopback address on which nothing listens at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _fetch(method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, dict(headers), method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        return json.load(response)


def tail(text: str, lines: int = 30) -> str:
    """Returns the last `lines` lines of a text, for example of a log."""
    return "\n".join(text.rstrip().splitlines()[-lines:])
