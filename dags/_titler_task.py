"""Code that the three DAGs share: an operator that runs a `titler` command, and templates for a run's source
day and for the name of its model or release."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any

from airflow.plugins_manager import get_priority_weight_strategy_plugins
from airflow.providers.standard.triggers.temporal import DateTimeTrigger, TimeDeltaTrigger
from airflow.sdk import DAG, Asset, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from _alert import ATTEMPT_ID, PROJECT_FOLDER, alert_failure
from _openlineage_facets import BashOperatorWithLineage
from _pod import executor_config
from _titler_process import TitlerProcess

# Updated by every run of titler_ingest, backfills included.
INGESTED_DAYS = Asset("titler_days", group="titler")
# Updated by every promotion of a model.
CHAMPION = Asset("titler_champion", group="titler")

# A template for the source day that a run ingests: its logical date. A manual run without a date, or with
# today's date, ingests yesterday. Not `data_interval_start`: for a manual run Airflow derives it from the
# current time, whatever the logical date.
DAY = (
    "{{ [logical_date if logical_date is defined else dag_run.run_after,"
    " dag_run.run_after - macros.timedelta(days=1)] | min | ds }}"
)
# A template for the name of a model or a release. Every kind of run has a `run_after`.
RUN_NAME = "{{ dag_run.run_after.strftime('%Y%m%dT%H%M%SZ') }}"

# Exit codes of titler. A retry cannot help after 2 (misuse, such as a wrong setting) or 3 (a person has to
# decide). After 4, the byte budget of the UTC day is spent, and the task continues on the next one.
SKIP_CODE = 99
NO_RETRY_CODES = (2, 3)
DEFERRED_CODE = 4

# A class of dags/plugins. If Airflow's plugins_folder does not contain it, Airflow runs the oldest day first.
NIGHTS_FIRST = "titler_nights.NightsFirst"


def default_args(retries: int, priority: int, **task_arguments: Any) -> dict[str, Any]:
    """Returns the `default_args` of a DAG. They make Airflow retry a failed task `retries` times, and send an
    alert when the last retry has failed.

    The first retry comes after Airflow's `default_task_retry_delay`. The delay doubles with each retry.
    """
    return {
        "owner": "titler",
        "retries": retries,
        "retry_exponential_backoff": 2.0,
        "priority_weight": priority,
        "weight_rule": NIGHTS_FIRST if NIGHTS_FIRST in get_priority_weight_strategy_plugins() else "absolute",
        "on_failure_callback": alert_failure,
        **task_arguments,
    }


def next_budget(now: datetime, is_backfill: bool) -> datetime:
    """Returns the time at which a deferred task continues. The task was deferred because the byte budget of
    the UTC day is spent. It continues on the next UTC day, which has a new budget.

    A task of a nightly run continues a minute after midnight. The minute is added because the clocks of two
    machines may differ. A task of a backfill continues a minute after noon, so that the nightly run can use
    the budget first: the nightly run may wait until noon for the last hour of its source day.
    """
    return datetime.combine(now.date() + timedelta(days=1), time(12 if is_backfill else 0, 1), UTC)


class TitlerOperator(BashOperatorWithLineage):
    """Runs a `titler` command. Its working directory is the folder that contains `dags/`, so relative paths
    in the settings start there.

    The exit code of the command decides what happens:

    - 0: the task succeeds.
    - 99: the task is skipped.
    - 4 (the byte budget of the day is spent): the task is deferred, and uses no task slot while it waits. On
      the next UTC day, it runs the command again after midnight (in a backfill, after noon).
    - Any other code: the task fails. It is not retried after the codes 2 and 3, because a retry cannot help.
    """

    @cached_property
    def subprocess_hook(self) -> TitlerProcess:
        """The hook that runs the command, in place of the hook of Airflow's BashOperator."""
        return TitlerProcess()

    @property
    def exit_code(self) -> int | None:
        """The exit code of the command, or None if the command was never started."""
        return getattr(self.subprocess_hook.sub_process, "returncode", None)

    def execute(self, context: Context, event: Any = None) -> None:
        try:
            super().execute(context)
        except AirflowSkipException:
            raise
        except AirflowException as error:
            if self.exit_code == DEFERRED_CODE:
                is_backfill = context["dag_run"].run_type == "backfill"
                continues_at = next_budget(datetime.now(UTC), is_backfill)
                self.log.info("The task continues at %s.", continues_at)
                self.defer(trigger=DateTimeTrigger(continues_at), method_name="execute")
            if self.exit_code in NO_RETRY_CODES:
                raise AirflowFailException(
                    f"{error} The task is not retried, because a retry would fail again. The lines "
                    "above say what to do."
                ) from None
            raise
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"made by": str(self.bash_command)}


class WaitForSourceOperator(TitlerOperator):
    """Waits until `titler ready --day DAY` reports that the source has the last hour of the day.

    The operator runs this command every `poll_interval`. Between two checks, Airflow's triggerer waits, so
    the operator uses no task slot.

    When `max_wait` has passed since the end of the day, the operator stops waiting and succeeds without the
    last hour. So it does not wait for days that ended long ago, such as the days of a backfill. The next
    task, `extract`, records the missing hours, or fails if the source cannot be reached.
    """

    template_fields = (*TitlerOperator.template_fields, "day")

    def __init__(
        self, *, max_wait: timedelta, poll_interval: timedelta = timedelta(minutes=5), **task_arguments: Any
    ) -> None:
        super().__init__(**task_arguments)
        self.day = DAY
        self.max_wait = max_wait
        self.poll_interval = poll_interval

    def execute(self, context: Context, event: Any = None) -> None:
        end_of_day = datetime.fromisoformat(f"{self.day}T00:00:00+00:00") + timedelta(days=1)
        give_up_at = end_of_day + self.max_wait
        remaining = give_up_at - datetime.now(UTC)
        if remaining <= timedelta(0):
            self.log.info(
                "The task does not wait for the last hour of %s, because the time limit for waiting ended at "
                "%s.",
                self.day,
                give_up_at,
            )
            return
        try:
            super().execute(context)
        except AirflowFailException:
            raise
        except AirflowException:  # the hour is not there yet, or the source cannot be reached at the moment
            self.log.info(
                "The last hour of the day is not available yet. The next check is in %s. The task waits "
                "until %s at the latest.",
                self.poll_interval,
                give_up_at,
            )
            self.defer(
                trigger=TimeDeltaTrigger(self.poll_interval),
                method_name="execute",
                timeout=remaining + self.poll_interval,
            )


def titler_task(
    verb: str, arguments: str, operator: type[TitlerOperator] = TitlerOperator, **task_arguments: Any
) -> TitlerOperator:
    """Returns the task that runs `titler VERB ARGUMENTS`.

    `arguments` is a Jinja template that becomes part of a shell command, so it must not contain free text
    from a user. `task_arguments` are arguments that every Airflow operator has, such as pool, retries and
    outlets. `titler` must be on the PATH wherever tasks run. Under KubernetesExecutor, the task's pod gets
    the resources that the command needs.

    If the command itself sends an alert, the alert links to the task's log, and `alert_failure` does not send
    a second alert.
    """
    return operator(
        task_id=task_arguments.pop("task_id", verb),
        bash_command=f"titler {verb} {arguments}".rstrip(),
        env={"TITLER_ALERTS__LINK": "{{ ti.log_url }}", "TITLER_ALERTS__TASK": ATTEMPT_ID},
        append_env=True,
        cwd=PROJECT_FOLDER,
        do_xcom_push=False,
        skip_on_exit_code=SKIP_CODE,
        executor_config=executor_config(verb),
        **task_arguments,
    )


def add_task_docs(dag: DAG) -> None:
    """Sets the `doc_md` of each task: the documentation that Airflow shows on the task's page.

    The DAG's own `doc_md` has a table with one row per task. A task gets the content of its row.
    """
    header, _, *rows = (
        re.findall(r"(?<=\|)[^|]+(?=\|)", line)
        for line in (dag.doc_md or "").splitlines()
        if line.startswith("|")
    )
    for task_cell, *cells in rows:
        task = dag.get_task(task_cell.strip(" `"))
        assert isinstance(task, TitlerOperator)
        task.doc_md = "\n\n".join(
            f"**{name.strip().capitalize()}:** {text.strip()}"
            for name, text in zip(header[1:], cells, strict=True)
        )
