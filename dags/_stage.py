"""What the three DAGs share: one task is one `titler VERB`, and names are made of the run's own time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.plugins_manager import get_priority_weight_strategy_plugins
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, Asset, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from _alert import ATTEMPT, FOLDER, failed
from _lineage import BashOperatorWithLineage
from _pod import executor_config

DAYS = Asset(
    "titler_days", group="titler"
)  # updated whenever a day has been ingested, a backfilled one included

# The source day of a run: its logical date; where a person asked for none, or for today, the day before. Not `data_interval_start`: Airflow
# makes that of the time now, whatever the logical date of a run that is triggered by hand.
DAY = "{{ [logical_date if logical_date is defined else dag_run.run_after, dag_run.run_after - macros.timedelta(days=1)] | min | ds }}"
NAME = "{{ dag_run.run_after.strftime('%Y%m%dT%H%M%SZ') }}"  # of a model or a release; every kind of run has a run_after

SKIP, FINAL = 99, (2, 3)  # exit codes of titler; FINAL: a mistake, and what waits for a person's decision
NIGHTS_FIRST = "titler_nights.NightsFirst"  # dags/plugins; without Airflow's plugins_folder there, runs of one DAG go by their time


def defaults(retries: int, priority: int, **task: Any) -> dict[str, Any]:
    """default_args of a DAG whose tasks are tried again, after Airflow's `default_task_retry_delay`, and tell when that did not help."""
    return {
        "owner": "titler",
        "retries": retries,
        "retry_exponential_backoff": 2.0,
        "priority_weight": priority,
        "weight_rule": NIGHTS_FIRST if NIGHTS_FIRST in get_priority_weight_strategy_plugins() else "absolute",
        "on_failure_callback": failed,
        **task,
    }


class Stage(BashOperatorWithLineage):
    """Runs `titler VERB ARGUMENTS` in the folder above `dags/`, where a relative path in the settings means what it does at a shell.

    Skipped when the verb exits with 99. On any other code but 0 it fails, and is tried again unless that cannot help (2, 3).
    """

    @property
    def exit_code(self) -> int | None:
        """That of the command; None where it was never started."""
        return getattr(self.subprocess_hook.sub_process, "returncode", None)

    def execute(self, context: Context) -> None:
        try:
            super().execute(context)
        except AirflowSkipException:
            raise
        except AirflowException as error:
            if self.exit_code in FINAL:
                raise AirflowFailException(
                    f"{error} It is not tried again: the lines above say what to do."
                ) from None
            raise
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"made by": str(self.bash_command)}


class Wait(Stage):
    """Waits until `titler ready --day DAY` says that the source has the day's last hour, asking every `poll`, in a triggerer meanwhile.

    `patience` after the end of the day it goes on with what there is: `extract` records what the day lacks, and tells of a source
    that cannot be reached. A day that ended longer ago, as a backfill's, is not waited for.
    """

    template_fields = (*Stage.template_fields, "day")

    def __init__(self, *, patience: timedelta, poll: timedelta = timedelta(minutes=5), **task: Any) -> None:
        super().__init__(**task)
        self.day = DAY
        self.patience = patience
        self.poll = poll

    def execute(self, context: Context, event: Any = None) -> None:
        until = datetime.fromisoformat(f"{self.day}T00:00:00+00:00") + timedelta(days=1) + self.patience
        left = until - datetime.now(UTC)
        if left <= timedelta(0):
            self.log.info("%s is over since %s: no longer waited for.", self.day, until)
            return
        try:
            super().execute(context)
        except AirflowFailException:
            raise
        except AirflowException:  # not yet, or the source cannot be reached at this moment
            self.log.info("Asked again in %s, until %s.", self.poll, until)
            self.defer(trigger=TimeDeltaTrigger(self.poll), method_name="execute", timeout=left + self.poll)


def stage(verb: str, arguments: str, operator: type[Stage] = Stage, **task: Any) -> Stage:
    """The task that runs `titler VERB ARGUMENTS` (a Jinja template); `task` is what any operator takes: pool, retries, outlets.

    `titler` has to be on the PATH of whatever runs tasks. `arguments` take no text that a caller may choose freely: a shell reads
    them. What the verb itself tells leads to the task's log, and `failed` does not tell it again. On KubernetesExecutor the task
    brings its pod.
    """
    return operator(
        task_id=task.pop("task_id", verb),
        bash_command=f"titler {verb} {arguments}".rstrip(),
        env={"TITLER_ALERTS__LINK": "{{ ti.log_url }}", "TITLER_ALERTS__TASK": ATTEMPT},
        append_env=True,
        cwd=FOLDER,
        do_xcom_push=False,
        skip_on_exit_code=SKIP,
        executor_config=executor_config(verb),
        **task,
    )


def explain(dag: DAG) -> None:
    """Gives each task its row of the DAG's table as its own page: what it does, what it costs, what to do when it fails."""
    names, *rows = (
        re.findall(r"(?<=\|)[^|]+(?=\|)", line)
        for line in (dag.doc_md or "").splitlines()
        if line.startswith("|")
    )
    pages = {row[0].strip(" `"): dict(zip(names[1:], row[1:], strict=True)) for row in rows[1:]}
    for task in map(dag.get_task, pages):
        assert isinstance(task, Stage)
        task.doc_md = "\n\n".join(
            f"**{name.strip().capitalize()}:** {text.strip()}" for name, text in pages[task.task_id].items()
        )
