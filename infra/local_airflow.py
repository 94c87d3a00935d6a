"""A real Airflow on this machine alone: scheduler, DAG processor, triggerer and API server on loopback; SQLite or another database.

    .venv/bin/python infra/local_airflow.py FOLDER        until Ctrl-C

`infra/demo.py` runs the demonstration in one. Whatever it starts, tasks and their children included, ends with it.
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
COMPONENTS = {  # the scheduler last: a task that it starts before the API server answers has failed
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),  # a run's first task waits in it
    "scheduler": ("scheduler", "--skip-serve-logs"),  # its log server would listen on every address
}
LOOPBACK = "127.0.0.1"
LOCKED, LOCKED_TRIES = "database is locked", 5

# use_job_schedule: without it nothing starts by the clock, nor by a new day; with it Airflow fetches yesterday as soon as it is up.
# parallelism: at Airflow's own 32 SQLite answers "database is locked".
CONFIGURATION = """\
[core]
dags_folder = {dags}
plugins_folder = {dags}/plugins
executor = LocalExecutor
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
use_job_schedule = {clock}
scheduler_idle_sleep_time = 0.5
[dag_processor]
parsing_processes = 1
min_file_process_interval = 300
"""


class AirflowError(Exception):
    """Airflow did not do what was asked; the message holds the tail of its own words."""


class LocalAirflow:
    """Airflow in `home`, started by `with`; `environment` is what its tasks get on top of this process's own."""

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        port: int = 0,
        database: str | None = None,
        *,
        clock: bool = False,
    ) -> None:
        """`port` 0 takes a free one. `database` is SQLAlchemy's address of an empty or migrated one; without it, SQLite in `home`.

        `clock`: DAGs start as they are scheduled; otherwise by hand alone.
        """
        self.clock = clock
        self.home = home.resolve()
        self.database = (
            database or f"sqlite:///{self.home}/airflow.db?timeout=60"
        )  # seconds that a writer waits; five are the default
        self.port = port or free_port()
        self.address = f"http://{LOOPBACK}:{self.port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        self.environment = {
            **inherited,
            "AIRFLOW_HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "SPT_NOENV": "1",  # keeps /proc/PID/environ readable although Airflow renames its processes: see processes
            **environment,
        }
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._token = ""

    def __enter__(self) -> LocalAirflow:
        try:
            self.end()  # what an earlier one, killed outright, may have left here
            self._configure()
            self.run("db", "migrate")
            self.run("pools", "set", "gpu", "1", "one training at a time")
            for component, command in COMPONENTS.items():
                if component == "scheduler":
                    self._wait_until_ready(self._answers)
                self.start(component, "airflow", *command)
            self._wait_until_ready(self._is_ready)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def run(self, *arguments: str) -> str:
        """Standard output of `airflow ARGUMENTS`. Raises AirflowError with what it wrote when it fails.

        It is typed again where a busy SQLite refused it, which it does at once when another wrote since the transaction read, whatever
        the timeout: Airflow takes back what it had created until then.
        """
        for _ in range(LOCKED_TRIES):
            done = subprocess.run(
                ["airflow", *arguments],
                cwd=self.home,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0 or LOCKED not in done.stderr:
                break
        if done.returncode != 0:
            raise AirflowError(
                f"airflow {' '.join(arguments)}: exit code {done.returncode}\n{tail(done.stdout + done.stderr)}"
            )
        return done.stdout

    def start(self, name: str, *command: str) -> None:
        """Starts a program that runs beside Airflow and ends with it; what it writes is in NAME.log."""
        with self._log(name).open("wb") as log:
            self._started[name] = subprocess.Popen(
                command, cwd=self.home, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def get(self, path: str) -> Any:
        """The JSON answer of Airflow's REST API at `/api/v2/PATH`."""
        if not self._token:
            self._token = _fetch(f"{self.address}/auth/token", "")["access_token"]
        return _fetch(f"{self.address}/api/v2/{path}", self._token)

    def check(self) -> None:
        """Raises AirflowError, with the tail of its log, for a program that has ended by itself."""
        for name, process in self._started.items():
            if process.poll() is not None:
                raise AirflowError(
                    f"{name} ended by itself\n{tail(self._log(name).read_text(errors='replace'))}"
                )

    def processes(self) -> list[psutil.Process]:
        """All processes of this Airflow, known by their AIRFLOW_HOME: a task has a session of its own and outlives a killed parent."""
        family = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("AIRFLOW_HOME") == str(self.home):
                    family.append(process)
            except psutil.Error:  # ended meanwhile, or someone else's
                continue
        return family

    def end(self) -> None:
        """Ends all processes of this Airflow, tasks and what they started included: asks first, kills after five seconds."""
        for ask in (psutil.Process.terminate, psutil.Process.kill, psutil.Process.kill):
            family = self.processes()
            for process in family:
                try:
                    ask(process)
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(family, timeout=5)
        self._started.clear()

    def _configure(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        configuration = CONFIGURATION.format(
            address=self.address,
            clock=self.clock,
            database=self.database.replace("%", "%%"),  # what ConfigParser reads as one per cent sign
            dags=REPOSITORY / "dags",
            fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
            home=self.home,
            host=LOOPBACK,
            jwt_secret=secrets.token_hex(32),
            port=self.port,
            secret_key=secrets.token_hex(32),
        )
        path = self.home / "airflow.cfg"
        path.touch(mode=0o600)  # it holds keys, and perhaps a password
        path.write_text(configuration, encoding="utf-8")

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
        raise AirflowError(f"Airflow was not ready after {seconds:.0f} s. Its logs: {self.home}/*.log")

    def _answers(self) -> bool:
        return bool(self.get("version"))

    def _is_ready(self) -> bool:
        """Whether all DAGs are known and the scheduler is up. Raises AirflowError for a DAG that does not import."""
        errors = self.get("importErrors")["import_errors"]
        if errors:
            raise AirflowError(f"{errors[0]['filename']} does not import\n{tail(errors[0]['stack_trace'])}")
        expected = {path.stem for path in (REPOSITORY / "dags").glob("titler_*.py")}
        known = {dag["dag_id"] for dag in self.get("dags")["dags"]}
        return expected <= known and self.get("monitor/health")["scheduler"]["status"] == "healthy"


def end_on_signals() -> None:
    """Turns the signals that end a process into SystemExit, so that every `with` is left properly; a second one is ignored."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in numbers:
        signal.signal(number, leave)


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _fetch(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.load(answer)


def tail(text: str, lines: int = 30) -> str:
    """The last lines of a text."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("Usage: .venv/bin/python infra/local_airflow.py FOLDER", file=sys.stderr)
        return 2
    end_on_signals()
    try:
        with LocalAirflow(Path(arguments[0]), {}) as airflow:
            print(f"Airflow: {airflow.address} (no password; Ctrl-C ends it)", flush=True)
            while True:
                airflow.check()
                time.sleep(1)
    except AirflowError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
