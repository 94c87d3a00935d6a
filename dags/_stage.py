"""What the three DAGs share: one task is one `titler VERB`, and names are made of the run's own time.

Who is told when something goes wrong, and how, is Titler's to know: the callbacks here only type `titler alert`.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.configuration import conf
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset, Context
from airflow.sdk.definitions.callback import SyncCallback  # airflow.sdk has these three, but its types leave them out
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

DAYS = Asset("titler_days", group="titler")  # updated whenever a day has been ingested, a backfilled one included

NAME = "{{ dag_run.run_after.strftime('%Y%m%dT%H%M%SZ') }}"  # of a model or a release; every kind of run has a run_after
ATTEMPT = "{{ ti.dag_id }}/{{ ti.run_id }}/{{ ti.task_id }}/{{ ti.try_number }}"
FOLDER = str(Path(__file__).resolve().parent.parent)


def defaults(retries: int, **task: Any) -> dict[str, Any]:
    """default_args of a DAG whose tasks are tried again after five minutes, and tell when that did not help."""
    return {"owner": "titler", "retries": retries, "retry_delay": timedelta(minutes=5), "on_failure_callback": failed, **task}


def stage(verb: str, arguments: str, **task: Any) -> BashOperator:
    """The task that runs `titler VERB ARGUMENTS` (a Jinja template); `task` is what any operator takes: pool, retries, outlets.

    It runs in the folder above `dags/`, so that a relative path in the settings means what it means to a person at a
    shell there. The task is skipped when the verb exits with 99, and fails on any other code but 0. `titler` has to be
    on the PATH of whatever runs tasks. `arguments` take no text that a caller may choose freely: a shell reads them.

    What the verb itself tells leads to the task's log, and `failed` does not tell it again.
    """
    told = {"TITLER_ALERTS__LINK": "{{ ti.log_url }}", "TITLER_ALERTS__TASK": ATTEMPT}
    command = f"titler {verb} {arguments}".rstrip()
    return BashOperator(task_id=verb, bash_command=command, env=told, append_env=True, cwd=FOLDER, do_xcom_push=False, **task)


def failed(context: Context) -> None:
    """on_failure_callback: a task has failed for good, after its retries. The next command is the task's own, to see why.

    A DAG's, too, for Airflow calls the task's from the task's own process: one that was killed (memory, a lost machine) cannot.
    Both are one message, by the attempt.
    """
    if "ti" not in context:  # a run that failed without a task that did
        dag_id, run_id = context["dag"].dag_id, context["run_id"]
        _alert(what=f"{dag_id}: the run {run_id} has failed", link=_page(dag_id, run_id), dedupe=f"{dag_id}/{run_id}/failed")
        return
    task, ti = context["task"], context["ti"]
    began = getattr(ti, "start_date", None) or datetime.now(UTC)  # Airflow does not know it of a task that was killed
    _alert(
        what=f"{ti.dag_id}: the task {ti.task_id} has failed, attempt {ti.try_number}",
        since=f"{began:%Y-%m-%d %H:%M} UTC",
        link=ti.log_url,
        next=task.render_template(getattr(task, "bash_command", "titler doctor"), context),
        dedupe=task.render_template(ATTEMPT, context),
    )


def late(context: dict[str, Any]) -> None:
    """A deadline's callback: a run has not succeeded in time. Two deadlines of one run are one message."""
    run = context["dag_run"]
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


def due(**after: float) -> list[DeadlineAlert]:
    """`late` so long after the time that a run is for, and so long after it was queued: a run by an asset has no time of its own.

    The callback runs in a LocalExecutor: where there is none, Airflow logs that and goes on, whereas other executors may
    take no callbacks at all, which would end the scheduler.
    """
    if sys.argv[1:3] == ["dags", "test"]:  # Airflow 3.3 ends such a run of a DAG with deadlines by a traceback, though all of it succeeded
        return []
    references = (DeadlineReference.DAGRUN_LOGICAL_DATE, DeadlineReference.DAGRUN_QUEUED_AT)
    callback = SyncCallback(late, executor="LocalExecutor")
    return [DeadlineAlert(reference=reference, interval=timedelta(**after), callback=callback) for reference in references]


def _alert(**options: str) -> None:
    """Types `titler alert`; says why itself when it cannot send."""
    subprocess.run(["titler", "alert", *(f"--{name}={value}" for name, value in options.items())], cwd=FOLDER, check=False)
