"""Sends an alert when a task or a run of Airflow has failed, or when a run is late.

The callbacks only run `titler alert`. Titler's settings (`alerts.*`) decide who gets the alert, and how.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.configuration import conf
from airflow.sdk import Context

# airflow.sdk exports these three as well, but its type stubs leave them out.
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

ATTEMPT_ID = "{{ ti.dag_id }}/{{ ti.run_id }}/{{ ti.task_id }}/{{ ti.try_number }}"
PROJECT_FOLDER = str(Path(__file__).resolve().parent.parent)


def alert_failure(context: Context) -> None:
    """Sends an alert that a task has failed after its last retry, or that a run has failed without a failed
    task. This function is the on_failure_callback of all tasks and DAGs.

    If a task has failed, the alert says to run the task's own command, which prints the reason again.

    Airflow calls a task's callback in the task's process. If that process was killed (out of memory, a lost
    machine), only the DAG's callback runs. If both callbacks run, both give `titler alert` the same key (the
    id of the task's attempt). Only one alert is sent, because `titler alert` sends one alert per key.
    """
    if "ti" not in context:  # the run failed, but none of its tasks did
        dag_id, run_id = context["dag"].dag_id, context["run_id"]
        _send_alert(
            what=f"{dag_id}: the run {run_id} has failed",
            link=_run_url(dag_id, run_id),
            dedupe=f"{dag_id}/{run_id}/failed",
        )
        return
    task, ti = context["task"], context["ti"]
    # Airflow gives no start date for a task that was killed.
    started = getattr(ti, "start_date", None) or datetime.now(UTC)
    _send_alert(
        what=f"{ti.dag_id}: the task {ti.task_id} has failed, attempt {ti.try_number}",
        since=f"{started:%Y-%m-%d %H:%M} UTC",
        link=ti.log_url,
        next=task.render_template(getattr(task, "bash_command", "titler doctor"), context),
        dedupe=task.render_template(ATTEMPT_ID, context),
    )


# Do not rename: Airflow's database stores this name with every pending deadline.
def late(context: dict[str, Any]) -> None:
    """Sends an alert that a DAG run is late, unless the run has ended in the meantime.

    Airflow calls this function when the deadline of the run has passed.
    """
    run = context["dag_run"]
    if run["state"] in ("failed", "success"):
        return
    run_time = datetime.fromisoformat(run["run_after"])
    _send_alert(
        what=f"{run['dag_id']} is late: the run of {run_time:%Y-%m-%d %H:%M} UTC is {run['state']}, not done",
        since=f"{run_time:%Y-%m-%d %H:%M} UTC",
        link=_run_url(run["dag_id"], run["dag_run_id"]),
        next="titler status",
        dedupe=f"{run['dag_id']}/{run['dag_run_id']}/late",
    )


def _run_url(dag_id: str, run_id: str) -> str:
    """Returns the address of a run's page in Airflow."""
    base = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    return f"{base}/dags/{dag_id}/runs/{quote(run_id)}"


def deadline_after(**delay: float) -> DeadlineAlert | None:
    """Returns a deadline for the runs of a DAG. Airflow calls `late` for each run that has not ended by its
    deadline. Returns None within `airflow dags test`.

    `delay` is how long a run may take after it is queued, for example `hours=3`. The deadline cannot be
    counted from the scheduled time of a run, because a run that an asset started has no scheduled time.

    The callback `late` always runs in a LocalExecutor, because an executor without support for callbacks
    could stop the scheduler. If Airflow has no LocalExecutor, it logs that it cannot run the callback.
    """
    # In Airflow 3.3, `airflow dags test` of a DAG with a deadline ends with a traceback, though the run
    # succeeded.
    if sys.argv[1:3] == ["dags", "test"]:
        return None
    callback = SyncCallback(late, executor="LocalExecutor")
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(**delay), callback=callback
    )


def _send_alert(**options: str) -> None:
    """Runs `titler alert`. For example, the argument `what="..."` becomes the option --what.

    If the alert cannot be sent, `titler alert` prints the reason.
    """
    subprocess.run(
        ["titler", "alert", *(f"--{name}={value}" for name, value in options.items())],
        cwd=PROJECT_FOLDER,
        check=False,
        timeout=60,
    )
