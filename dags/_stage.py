"""What the three DAGs share: one task is one `titler VERB`, and names are made of the run's own time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset

DAYS = Asset("titler_days", group="titler")  # updated whenever a day has been ingested, a backfilled one included

NAME = "{{ dag_run.run_after.strftime('%Y%m%dT%H%M%SZ') }}"  # of a model or a release; every kind of run has a run_after


def stage(verb: str, arguments: str, **task: Any) -> BashOperator:
    """The task that runs `titler VERB ARGUMENTS` (a Jinja template); `task` is what any operator takes: pool, retries, outlets.

    It runs in the folder above `dags/`, so that a relative path in the settings means what it means to a person at a
    shell there. The task is skipped when the verb exits with 99, and fails on any other code but 0. `titler` has to be
    on the PATH of whatever runs tasks. `arguments` take no text that a caller may choose freely: a shell reads them.
    """
    folder = str(Path(__file__).resolve().parent.parent)
    return BashOperator(task_id=verb, bash_command=f"titler {verb} {arguments}".rstrip(), cwd=folder, do_xcom_push=False, **task)
