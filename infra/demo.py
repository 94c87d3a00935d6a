"""`make demo`: the whole job once, through a real Airflow, in the folder `demo`; then what came of it.

.venv/bin/python infra/demo.py                      the generated sample, two days
.venv/bin/python infra/demo.py --hours DIR          the days whose hour files are in DIR
.venv/bin/python infra/demo.py --day 2015-01-01     that day, from GH Archive
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

from demo_results import print_results
from local_airflow import REPOSITORY, AirflowError, LocalAirflow, end_on_signals, tail

DEMO = REPOSITORY / "demo"
LAKE = DEMO / "lake"
SAMPLE = DEMO / "hours"
BATCH = 16  # many small steps, for little data in little time; the setting's own is for a night
STEPS = 500  # with which all of it takes about two minutes on two cores
HOUR_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})-\d{1,2}\.json\.gz")


class Watch:
    """Follows all runs of one DAG and prints a line for every task that ends."""

    def __init__(self, airflow: LocalAirflow, dag_id: str) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self._told: set[str] = set()

    def until_done(self) -> None:
        """Returns when no run is left. Raises AirflowError, with the end of its log, when a task fails, be it to be retried."""
        with Console().status(f"{self.dag_id} is queued") as spinner:  # on a terminal only
            while True:
                self.airflow.check()
                left = self._runs(
                    "queued", "running"
                )  # asked first: what ends after this is told in the next round
                for task in self._tasks("failed", "up_for_retry"):
                    raise AirflowError(self._log(task))
                for task in reversed(self._tasks("success", "skipped")):
                    self._tell(task)
                if not left:
                    break
                running = [f"{task['task_id']} {self._day(task)}".rstrip() for task in self._tasks("running")]
                spinner.update(f"{', '.join(running) or 'the next task'} ...")
                time.sleep(1)
        if self._runs("failed") or not self._runs("success"):
            raise AirflowError(f"{self.dag_id}: no run succeeded; its logs: {self.airflow.home}/logs")

    def _runs(self, *states: str) -> int:
        query = urllib.parse.urlencode({"state": states, "limit": 1}, doseq=True)
        return int(self.airflow.get(f"dags/{self.dag_id}/dagRuns?{query}")["total_entries"])

    def _tasks(self, *states: str) -> list[dict[str, Any]]:
        """The hundred that ended last, the last one first."""
        query = urllib.parse.urlencode({"state": states, "order_by": "-end_date", "limit": 100}, doseq=True)
        tasks: list[dict[str, Any]] = self.airflow.get(f"dags/{self.dag_id}/dagRuns/~/taskInstances?{query}")[
            "task_instances"
        ]
        return tasks

    def _tell(self, task: dict[str, Any]) -> None:
        if task["id"] in self._told:
            return
        self._told.add(task["id"])
        took = "skipped" if task["state"] == "skipped" else f"{task['duration']:.1f} s"
        print(f"    {took:>8}  {task['task_id']} {self._day(task)}".rstrip(), flush=True)

    def _day(self, task: dict[str, Any]) -> str:
        return str(task["logical_date"])[:10] if self.dag_id == "titler_ingest" else ""

    def _log(self, task: dict[str, Any]) -> str:
        run = urllib.parse.quote(task["dag_run_id"], safe="")
        path = f"dags/{self.dag_id}/dagRuns/{run}/taskInstances/{task['task_id']}/logs/1"  # seen well before a second try
        lines = [
            line["event"] for line in self.airflow.get(path)["content"] if not line["event"].startswith("::")
        ]
        log = "\n".join(lines).rpartition("\nOutput:\n")[2]  # the command's own words where there are any
        return f"{self.dag_id}: the task {task['task_id']} failed. The end of its log:\n{tail(log)}"


def day(text: str) -> str:
    """`text`, if it is a date as 2015-01-01; ValueError otherwise."""
    return date.fromisoformat(text).isoformat()


def days_in(folder: Path) -> list[str]:
    """The days, in order, of which `folder` holds hour files. Raises AirflowError when there is none."""
    days = sorted(
        {found[1] for path in folder.glob("*.json.gz") if (found := HOUR_FILE.fullmatch(path.name))}
    )
    if not days:
        raise AirflowError(
            f"{folder}: no hour files. Expected names like 2015-01-01-12.json.gz, as GH Archive gives them."
        )
    return days


def _titler(airflow: LocalAirflow, *arguments: str) -> None:
    print(f"\n$ titler {shlex.join(arguments)}", flush=True)
    done = subprocess.run(["titler", *arguments], cwd=REPOSITORY, env=airflow.environment, check=False)
    if done.returncode != 0:
        raise AirflowError(f"titler {arguments[0]}: exit code {done.returncode}")


def _epochs(airflow: LocalAirflow) -> int:
    """As many as come to STEPS, from 3 to 20, by the number of issues that may be learned from."""
    status = subprocess.run(
        ["titler", "status", "--json"],
        cwd=REPOSITORY,
        env=airflow.environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    if status.returncode != 0:
        raise AirflowError(f"titler status: exit code {status.returncode}")
    trainable = sum(day["trainable"] for day in json.loads(status.stdout)["days"])
    return min(20, max(3, STEPS * BATCH // max(trainable, 1)))


def _airflow(airflow: LocalAirflow, *arguments: str) -> None:
    print(f"\n$ airflow {shlex.join(arguments)}", flush=True)
    airflow.run(*arguments)


def _demonstrate(hours: Path | None, one_day: str | None) -> None:
    if hours and hours.is_relative_to(DEMO):
        raise AirflowError(
            f"{hours} would be removed: a demonstration begins with an empty {DEMO}. Move it elsewhere first."
        )
    environment = {
        "TITLER_LAKE__ROOT": str(LAKE),
        "TITLER_MODEL__BATCH_SIZE": str(BATCH),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    if not one_day:
        environment["TITLER_SOURCE__HOURS"] = str(hours or SAMPLE)
    days = [one_day] if one_day else days_in(hours) if hours else []
    airflow = LocalAirflow(DEMO / "airflow", environment)
    airflow.end()  # an earlier demonstration that was killed outright
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    if not days:
        _titler(airflow, "sample", str(SAMPLE), "--days", "2")
        days = days_in(SAMPLE)

    print("\nAirflow starts: scheduler, DAG processor, triggerer and API server, on loopback", flush=True)
    with airflow:
        print(f"    {airflow.address}", flush=True)
        span = ("--from-date", days[0], "--to-date", days[-1])
        _airflow(airflow, "backfill", "create", "--dag-id", "titler_ingest", *span, "--max-active-runs", "2")
        Watch(airflow, "titler_ingest").until_done()
        _airflow(
            airflow, "dags", "trigger", "titler_train", "--conf", json.dumps({"epochs": _epochs(airflow)})
        )
        Watch(airflow, "titler_train").until_done()
        _airflow(airflow, "dags", "trigger", "titler_refresh")
        Watch(airflow, "titler_refresh").until_done()
    print_results(LAKE, DEMO / "airflow")


def main() -> int:
    """Returns the exit code: 0, or 1 when something failed, with the end of its log on standard error."""
    parser = argparse.ArgumentParser(
        prog="demo.py", description="Titler's whole job once, through a real Airflow, in ./demo."
    )
    parser.add_argument("--hours", metavar="DIR", type=Path, help="a folder of GH Archive's hour files")
    parser.add_argument("--day", metavar="D", type=day, help="a day to fetch from GH Archive, as 2015-01-01")
    chosen = parser.parse_args()
    if chosen.hours and chosen.day:
        parser.error("give HOURS or DAY, not both")
    end_on_signals()
    began = time.monotonic()
    try:
        _demonstrate(chosen.hours and chosen.hours.resolve(), chosen.day)
    except (AirflowError, OSError) as error:
        print(
            f"\n{error}\n\nThe demonstration stopped; all that it started has ended. Its files: {DEMO}",
            file=sys.stderr,
        )
        return 1
    print(f"\nDone in {time.monotonic() - began:.0f} s; all that was started has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
