"""Runs the services of infra/compose.yaml as plain processes, without containers.

Each service has the command, environment, health check and order of the file. As in a container, it has its
own address (on loopback, so that ports stay as in the file), the mounted folders, and only the environment of
the file and the image. Two services run other programs than their images: PostgreSQL is Debian's, and MinIO,
which no package registry has, is replaced by another S3 server.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import yaml

from local_airflow import tail
from tests.support import postgres, stores

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "infra" / "compose.yaml"
WORKING_DIRECTORY = "/opt/titler"  # of the image
MAX_CHECKS = 80  # of a service's health
PAUSE = 3  # seconds between two rounds of checks, each of which starts a Python per service or asks Airflow
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
MARK = "COMPOSE_PROJECT_NAME"


class ComposeError(Exception):
    """A service did not start, or ended. The message has the tail of its output."""


class Server:
    """All services in the folder `home`; a `with` block starts and stops them.

    Services with Titler's settings get `more` on top of the environment in the file.
    """

    def __init__(self, home: Path, more: Mapping[str, str]) -> None:
        self.home = home.resolve()
        self.more = dict(more)
        self.name = f"titler-{os.getpid()}-{random.getrandbits(32):08x}"
        subprocess.run(
            [sys.executable, ROOT / "infra" / "compose_env.py", self.home / "env"],
            check=True,
            capture_output=True,
        )
        lines = (
            line.partition("=")
            for line in (self.home / "env").read_text().splitlines()
            if not line.startswith("#")
        )
        self.secrets = {name: value for name, _, value in lines}
        self.services: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
        network = f"127.{random.randint(16, 250)}.{random.randint(0, 250)}"
        self.hosts = {name: f"{network}.{number}" for number, name in enumerate(self.services, start=1)}
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()
        self._token = ""

    def __enter__(self) -> Server:
        try:
            self._up()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    # The file's values, translated to processes

    def _filled(self, value: object, service: str) -> str:
        """A value of the file with variables, host names, paths and addresses replaced."""
        text = VARIABLE.sub(
            lambda match: self.secrets.get(match[1], match[3] if match[2] == "-" else ""), str(value)
        )
        for volume in self.services[service].get("volumes", []):
            source, target = volume.split(":")[:2]
            folder = FILE.parent / source if source.startswith(".") else self.home / "volumes" / source
            if not source.startswith("."):
                folder.mkdir(parents=True, exist_ok=True)
            text = text.replace(target, str(folder))
        text = text.replace(WORKING_DIRECTORY, str(ROOT)).replace(
            "/opt/venv/bin", str(Path(sys.executable).parent)
        )
        for name in sorted(self.hosts, key=len, reverse=True):  # names begin with one another
            text = re.sub(rf"(?<![\w.-]){name}(?=:\d{{4,5}}\b)", self.hosts[name], text)
        return re.sub(r"\b(0\.0\.0\.0|127\.0\.0\.1)\b", self.hosts[service], text)

    def environment(self, service: str) -> dict[str, str]:
        """The whole environment of a service's processes."""
        from_file = {
            name: self._filled(value, service)
            for name, value in self.services[service].get("environment", {}).items()
        }
        more = self.more if "TITLER_LAKE__ROOT" in from_file else {}
        paths = [Path(sys.executable).parent, ROOT / "infra" / "entrypoints", "/usr/bin", "/bin"]
        image = {
            "PATH": ":".join(map(str, paths)),
            "HOME": str(self.home),
            "PYTHONPATH": f"{ROOT / 'infra' / 'task_logs'}:{ROOT}",
        }
        return {**image, **stores.NO_OTHERS, MARK: self.name, "SPT_NOENV": "1", **from_file, **more}

    def command(self, service: str, words: list[str]) -> list[str]:
        first, *others = (self._filled(word, service) for word in words)
        return [str(ROOT / first) if "/" in first else first, *others]

    # Starting, waiting, ending

    def _up(self) -> None:
        """Starts each service as soon as those that it depends on are healthy or done; waits for all."""
        waiting, starting = dict(self.services), dict.fromkeys(self.services, MAX_CHECKS)
        while starting:
            for name, service in list(waiting.items()):
                if not starting.keys() & service.get("depends_on", {}).keys():
                    self._start(name)
                    del waiting[name]
            for name in [name for name in starting if name not in waiting]:
                if self._is_healthy(name):
                    del starting[name]
                    continue
                starting[name] -= 1
                if not starting[name] or self._started[name].poll() not in (None, 0):
                    raise ComposeError(
                        f"{name} is not healthy: {tail(self.log(name).read_text(errors='replace'))}"
                    )
            if starting:
                time.sleep(PAUSE)

    def _start(self, name: str) -> None:
        if name == "postgres":
            self._start_postgres()
        elif name == "minio":
            self._start_store()
        else:
            self._start_process(name)

    def _start_postgres(self) -> None:
        programs, host, environment = (
            postgres.programs(),
            self.hosts["postgres"],
            self.environment("postgres"),
        )
        assert programs is not None, postgres.MISSING
        password = environment["POSTGRES_PASSWORD"]
        self._stack.enter_context(postgres.running(programs, "postgres", password, host, 5432))
        admin = {**environment, "PGHOST": host, "PGUSER": "postgres", "PGPASSWORD": password}
        subprocess.run([ROOT / "infra/entrypoints/databases.sh"], env=admin, check=True, capture_output=True)

    def _start_store(self) -> None:
        programs, environment = stores.programs(), self.environment("minio")
        assert programs is not None, stores.MISSING
        key, secret = environment["MINIO_ROOT_USER"], environment["MINIO_ROOT_PASSWORD"]
        (self.home / "volumes" / "minio").mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(
            stores.s3_server(
                programs, self.home / "volumes" / "minio", key, secret, self.hosts["minio"], 9000
            )
        )

    def _start_process(self, name: str) -> None:
        command = self.command(name, self.services[name]["command"])
        with self.log(name).open("wb") as log:
            self._started[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig=TERM", *command],
                cwd=ROOT,
                env=self.environment(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _is_healthy(self, name: str) -> bool:
        """Whether a service's health check succeeds; of a service that ends, whether it has succeeded."""
        if name not in self._started:  # PostgreSQL and the store respond as soon as they are started
            return True
        service = self.services[name]
        if service.get("restart") == "on-failure":
            return self._started[name].poll() == 0
        test = self.command(name, service["healthcheck"]["test"][1:])
        return (
            subprocess.run(
                test, cwd=ROOT, env=self.environment(name), capture_output=True, check=False
            ).returncode
            == 0
        )

    def _end(self) -> None:
        """Stops all processes of the services, Airflow's tasks included, then the database and the store."""
        for send_signal in (psutil.Process.terminate, psutil.Process.kill, psutil.Process.kill):
            family = []
            for process in psutil.process_iter():
                try:
                    if process.environ().get(MARK) == self.name:
                        send_signal(process)
                        family.append(process)
                except psutil.Error:  # it has ended meanwhile, or belongs to another user
                    continue
            psutil.wait_procs(family, timeout=5)
        for started in self._started.values():
            started.wait()
        self._stack.close()

    # Use

    def run(self, service: str, *command: str) -> str:
        """Runs a command in a service's environment, like `docker compose exec`; returns its standard output.

        Raises ComposeError if it fails.
        """
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment(service), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ComposeError(
                f"{' '.join(command)}: exit code {done.returncode}\n{tail(done.stdout + done.stderr)}"
            )
        return done.stdout

    def call_airflow(self, path: str, **sent: Any) -> Any:
        """The JSON that Airflow's REST API returns for `/api/v2/PATH`: of a POST if `sent`, else of a GET."""
        address = f"http://{self.hosts['airflow-api-server']}:8080"
        if not self._token:
            login = {"username": "admin", "password": self.secrets["AIRFLOW_ADMIN_PASSWORD"]}
            self._token = _json(
                f"{address}/auth/token", {"Content-Type": "application/json"}, json.dumps(login).encode()
            )["access_token"]
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return _json(f"{address}/api/v2/{path}", headers, json.dumps(sent).encode() if sent else None)

    def artifact(self, run_id: str, path: str) -> bytes:
        """A run's file, as MLflow's page loads it."""
        with _open(
            f"http://{self.hosts['mlflow']}:5000/get-artifact?run_uuid={run_id}&path={path}", {}
        ) as response:
            return bytes(response.read())

    def finish(self, dag: str, seconds: int = 3600) -> None:
        """Waits until every run of a DAG has succeeded. Raises ComposeError with the log of a failed task."""
        for _ in range(seconds // PAUSE):
            states = [run["state"] for run in self.call_airflow(f"dags/{dag}/dagRuns?limit=500")["dag_runs"]]
            if "failed" in states:
                raise ComposeError(f"{dag} has failed:\n{self._failure(dag)}")
            if states and set(states) == {"success"}:
                return
            time.sleep(PAUSE)
        raise ComposeError(f"{dag} is not done: {states}")

    def task_states(self, dag: str) -> dict[str, str]:
        """The states of the tasks of a DAG's only run, by task, in the order of their start."""
        path = f"dags/{dag}/dagRuns/~/taskInstances?order_by=start_date"
        return {task["task_id"]: task["state"] for task in self.call_airflow(path)["task_instances"]}

    def dump_databases(self) -> str:
        """PostgreSQL's databases, those of Airflow and MLflow, as SQL."""
        programs, environment = postgres.programs(), self.environment("postgres")
        assert programs is not None, postgres.MISSING
        done = subprocess.run(
            [programs / "pg_dumpall", "--host", self.hosts["postgres"], "--username", "postgres"],
            env={**environment, "PGPASSWORD": environment["POSTGRES_PASSWORD"]},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def _failure(self, dag: str) -> str:
        tasks = self.call_airflow(f"dags/{dag}/dagRuns/~/taskInstances?state=failed&limit=1")[
            "task_instances"
        ]
        logs = (
            sorted((self.home / "volumes" / "airflow" / "logs").rglob(f"task_id={tasks[0]['task_id']}/*.log"))
            if tasks
            else []
        )
        return tail(logs[-1].read_text()) if logs else str(tasks)


def _json(url: str, headers: Mapping[str, str], data: bytes | None = None) -> Any:
    with _open(url, headers, data) as response:
        return json.load(response)


def _open(url: str, headers: Mapping[str, str], data: bytes | None = None) -> Any:
    request = urllib.request.Request(url, data=data, headers=dict(headers))
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)
