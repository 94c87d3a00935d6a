"""The script behind `make demo`. It runs all DAGs once in the folder `demo`, with a real Airflow, and prints
some results.

The options choose the source days:

    .venv/bin/python infra/demo.py                      two days of generated sample issues
    .venv/bin/python infra/demo.py --hours DIR          the days whose hour files are in the folder DIR
    .venv/bin/python infra/demo.py --day 2015-01-01     this day, downloaded from GH Archive
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.parse
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from demo_results import print_next_command, print_results
from local_airflow import REPOSITORY, AirflowError, LocalAirflow, exit_on_signals, tail

DEMO = REPOSITORY / "demo"
LAKE = DEMO / "lake"
SAMPLE = DEMO / "hours"
TRAINING_BATCH = 16  # issues per training batch; far below the default, which suits larger data
TRAINING_STEPS = 500  # with 500 steps, the whole demonstration takes about two minutes on two cores
HOUR_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})-\d{1,2}\.json(\.gz|\.zst)?")


class DagWatcher:
    """Waits for all runs of one DAG. For every task that ends, prints a line with the task's duration."""

    def __init__(self, airflow: LocalAirflow, dag_id: str) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self._printed: set[str] = set()

    def wait_until_done(self) -> None:
        """Waits until no run of the DAG is queued or running.

        If a task fails, raises AirflowError at once, without waiting for a retry. The error contains the end
        of the task's log.
        """
        with Console().status(f"{self.dag_id} is queued") as spinner:  # visible on a terminal only
            while True:
                self.airflow.check()
                # Counted before the tasks are listed: a task that ends in between appears in the next round.
                active_runs = self._count_runs("queued", "running")
                tasks = self._tasks("failed", "up_for_retry", "success", "skipped", "running")
                for task in tasks:
                    if task["state"] in ("failed", "up_for_retry"):
                        raise AirflowError(self._describe_failure(task))
                for task in reversed(tasks):
                    if task["state"] != "running":
                        self._print_once(task)
                if not active_runs:
                    break
                running = [
                    f"{task['task_id']} {self._day(task)}".rstrip()
                    for task in tasks
                    if task["state"] == "running"
                ]
                spinner.update(f"running: {', '.join(running)}" if running else "waiting for the next task")
                time.sleep(1)
        if self._count_runs("failed") or not self._count_runs("success"):
            raise AirflowError(
                f"{self.dag_id}: a run failed, or no run succeeded. The logs: {self.airflow.home}/logs"
            )

    def _count_runs(self, *states: str) -> int:
        query = urllib.parse.urlencode({"state": states, "limit": 1}, doseq=True)
        return int(self.airflow.get(f"dags/{self.dag_id}/dagRuns?{query}")["total_entries"])

    def _tasks(self, *states: str) -> list[dict[str, Any]]:
        """Returns at most a hundred task instances in these states: those that ended last come first."""
        query = urllib.parse.urlencode({"state": states, "order_by": "-end_date", "limit": 100}, doseq=True)
        tasks: list[dict[str, Any]] = self.airflow.get(f"dags/{self.dag_id}/dagRuns/~/taskInstances?{query}")[
            "task_instances"
        ]
        return tasks

    def _print_once(self, task: dict[str, Any]) -> None:
        if task["id"] in self._printed:
            return
        self._printed.add(task["id"])
        duration = "skipped" if task["state"] == "skipped" else f"{task['duration']:.1f} s"
        print(f"    {duration:>8}  {task['task_id']} {self._day(task)}".rstrip(), flush=True)

    def _day(self, task: dict[str, Any]) -> str:
        return str(task["logical_date"])[:10] if self.dag_id == "titler_ingest" else ""

    def _describe_failure(self, task: dict[str, Any]) -> str:
        run = urllib.parse.quote(task["dag_run_id"], safe="")
        # The log of the first attempt: this program notices a failure long before Airflow retries the task.
        path = f"dags/{self.dag_id}/dagRuns/{run}/taskInstances/{task['task_id']}/logs/1"
        lines = [
            line["event"] for line in self.airflow.get(path)["content"] if not line["event"].startswith("::")
        ]
        log = "\n".join(lines).rpartition("\nOutput:\n")[2]  # the command's output, if it printed anything
        return f"{self.dag_id}: the task {task['task_id']} failed. The end of its log:\n{tail(log)}"


def parse_day(text: str) -> str:
    """Returns `text` if it is a date like 2015-01-01. Raises ValueError otherwise."""
    return date.fromisoformat(text).isoformat()


def days_in(folder: Path) -> list[str]:
    """Returns the days that have hour files in `folder`, in order. Raises AirflowError if there are none."""
    matches = (HOUR_FILE.fullmatch(path.name) for path in folder.rglob("*.json*"))
    days = sorted({match[1] for match in matches if match})
    if not days:
        raise AirflowError(
            f"{folder} has no hour files. Expected names like 2015-01-01-12.json.gz, as in GH Archive."
        )
    return days


def _run_titler(airflow: LocalAirflow, *arguments: str) -> None:
    print(f"$ titler {shlex.join(arguments)}", flush=True)
    process = subprocess.run(["titler", *arguments], cwd=REPOSITORY, env=airflow.environment, check=False)
    if process.returncode != 0:
        raise AirflowError(f"titler {arguments[0]} failed with exit code {process.returncode}")


def _choose_epochs(airflow: LocalAirflow) -> int:
    """Returns a number of epochs, at least 3 and at most 20, with which the training takes about
    TRAINING_STEPS steps."""
    status = subprocess.run(
        ["titler", "status", "--json"],
        cwd=REPOSITORY,
        env=airflow.environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    if status.returncode != 0:
        raise AirflowError(f"titler status failed with exit code {status.returncode}")
    trainable = sum(day["trainable"] for day in json.loads(status.stdout)["days"])
    return min(20, max(3, TRAINING_STEPS * TRAINING_BATCH // max(trainable, 1)))


def _run_airflow(airflow: LocalAirflow, *arguments: str) -> None:
    print(f"$ airflow {shlex.join(arguments)}", flush=True)
    airflow.run(*arguments)


def _print_step(text: str) -> None:
    print(f"\n{text}", flush=True)


def _run_demo(hours: Path | None, one_day: str | None) -> None:
    if hours and hours.is_relative_to(DEMO):
        raise AirflowError(
            f"{hours} is inside {DEMO}, which the demonstration deletes before it starts.\n"
            "Move the hour files elsewhere first."
        )
    environment = {
        "TITLER_LAKE__ROOT": str(LAKE),
        "TITLER_MODEL__BATCH_SIZE": str(TRAINING_BATCH),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    if not one_day:
        environment["TITLER_SOURCE__HOURS"] = str(hours or SAMPLE)
    days = [one_day] if one_day else days_in(hours) if hours else []
    airflow = LocalAirflow(LAKE / "airflow", environment)
    airflow.stop()  # an earlier demonstration may have been killed and left processes
    DEMO.mkdir(exist_ok=True)
    for path in DEMO.iterdir():  # in the container image, the folder itself cannot be deleted
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if not days:
        _print_step("Generating two days of sample issues, as GH Archive's hour files")
        _run_titler(airflow, "sample", str(SAMPLE), "--days", "2")
        days = days_in(SAMPLE)

    _print_step("Starting Airflow on this machine: scheduler, DAG processor, triggerer and API server")
    with airflow:
        print(f"    {airflow.address}", flush=True)
        _print_step("Ingesting the days, as a backfill: extract the issues, clean their text")
        span = ("--from-date", f"{days[0]}T00Z", "--to-date", f"{days[-1]}T00Z")  # UTC
        _run_airflow(
            airflow, "backfill", "create", "--dag-id", "titler_ingest", *span, "--max-active-runs", "2"
        )
        DagWatcher(airflow, "titler_ingest").wait_until_done()
        _print_step("Training a model; it becomes the champion")
        options = json.dumps({"epochs": _choose_epochs(airflow)})
        _run_airflow(airflow, "dags", "trigger", "titler_train", "--conf", options)
        DagWatcher(airflow, "titler_train").wait_until_done()
        _print_step("Publishing a release: titles, embeddings and neighbours of all issues")
        _run_airflow(airflow, "dags", "trigger", "titler_refresh")
        DagWatcher(airflow, "titler_refresh").wait_until_done()
    _print_step("What is in the lake now")
    _run_titler(airflow, "status")  # of real days it may say that the titles are withheld
    print_results(LAKE)
    if (REPOSITORY / "Makefile").exists():  # not in the container image, which has no `make up`
        print_next_command(LAKE)


def main() -> int:
    """Runs the demonstration and returns the exit code. After a failure, prints the error with the end of the
    failed task's log and returns 1."""
    parser = argparse.ArgumentParser(
        prog="demo.py", description="Runs all stages of Titler once in ./demo, with a real Airflow."
    )
    parser.add_argument(
        "--hours",
        metavar="DIR",
        type=Path,
        help="folder with GH Archive's hour files. By default, sample files are generated",
    )
    parser.add_argument(
        "--day", metavar="DATE", type=parse_day, help="day to fetch from GH Archive, like 2015-01-01"
    )
    options = parser.parse_args()
    if options.hours and options.day:
        parser.error("--hours and --day (make demo: HOURS and DAY) exclude each other: use only one")
    exit_on_signals()
    started = time.monotonic()
    try:
        _run_demo(options.hours and options.hours.resolve(), options.day)
    except (AirflowError, OSError) as error:
        print(
            f"\n{error}\n\nThe demonstration failed. All its processes are stopped; its files are in {DEMO}",
            file=sys.stderr,
        )
        return 1
    print(f"\nDone in {time.monotonic() - started:.0f} s. All processes of the demonstration are stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
