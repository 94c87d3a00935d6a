"""What Airflow itself has to tell: a task that failed for good, a run that is late.

Who is told, and how, is Titler's to know: the callbacks here only type `titler alert`.
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
from airflow.sdk.definitions.callback import (
    SyncCallback,
)  # airflow.sdk has these three, but its types leave them out
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

ATTEMPT = "{{ ti.dag_id }}/{{ ti.run_id }}/{{ ti.task_id }}/{{ ti.try_number }}"
FOLDER = str(Path(__file__).resolve().parent.parent)


def failed(context: Context) -> None:
    """on_failure_callback: a task has failed for good, after its retries. The next command is the task's own, to see why.

    A DAG's, too, for Airflow calls the task's from the task's own process: one that was killed (memory, a lost machine) cannot.
    Both are one message, by the attempt.
    """
    if "ti" not in context:  # a run that failed without a task that did
        dag_id, run_id = context["dag"].dag_id, context["run_id"]
        _alert(
            what=f"{dag_id}: the run {run_id} has failed",
            link=_page(dag_id, run_id),
            dedupe=f"{dag_id}/{run_id}/failed",
        )
        return
    task, ti = context["task"], context["ti"]
    began = getattr(ti, "start_date", None) or datetime.now(
        UTC
    )  # Airflow does not know it of a task that was killed
    _alert(
        what=f"{ti.dag_id}: the task {ti.task_id} has failed, attempt {ti.try_number}",
        since=f"{began:%Y-%m-%d %H:%M} UTC",
        link=ti.log_url,
        next=task.render_template(getattr(task, "bash_command", "titler doctor"), context),
        dedupe=task.render_template(ATTEMPT, context),
    )


def late(context: dict[str, Any]) -> None:
    """A deadline's callback: a run has not ended in time. One that has failed meanwhile was told of."""
    run = context["dag_run"]
    if run["state"] in ("failed", "success"):
        return
    began = datetime.fromisoformat(run["run_after"])
    _alert(
        what=f"{run['dag_id']} is late: the run of {began:%Y-%m-%d %H:%M} UTC is {run['state']}, not done",
        since=f"{began:%Y-%m-%d %H:%M} UTC",
        link=_page(run["dag_id"], run["dag_run_id"]),
        next="titler status",
        dedupe=f"{run['dag_id']}/{run['dag_run_id']}/late",
    )


def _page(dag_id: str, run_id: str) -> str:
    """Where Airflow shows a run."""
    base = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    return f"{base}/dags/{dag_id}/runs/{quote(run_id)}"


def due(**after: float) -> DeadlineAlert | None:
    """`late` so long after a run was queued; of its own time nothing is asked, for one that was started by an asset has none.

    The callback runs in a LocalExecutor: where there is none, Airflow logs that and goes on, whereas other executors may
    take no callbacks at all, which would end the scheduler.
    """
    if sys.argv[1:3] == [
        "dags",
        "test",
    ]:  # Airflow 3.3 ends such a run of a DAG with deadlines by a traceback, though all of it succeeded
        return None
    callback = SyncCallback(late, executor="LocalExecutor")
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(**after), callback=callback
    )


def _alert(**options: str) -> None:
    """Types `titler alert`; says why itself when it cannot send."""
    subprocess.run(
        ["titler", "alert", *(f"--{name}={value}" for name, value in options.items())],
        cwd=FOLDER,
        check=False,
        timeout=60,
    )
