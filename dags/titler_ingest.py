"""### Ingest one day of GH Archive: extract its issues and clean their text

| task | does | costs | when it fails |
|---|---|---|---|
| `wait` | waits until the source has the last hour of the day: an hour file with events or, with BigQuery, rows in the day's table. It waits until noon UTC of the next day at the latest. If this time has passed, it does not wait | no task slot while it waits | run `titler doctor`, correct the setting that it names, then clear the task. If the source cannot be reached, the task does not fail, but tries again every 5 minutes until noon |
| `extract` | reads the day's hours; writes the tables `issues_v1` and `duplicate_marks_v1` and, in the table `source_health_v1`, whether the day is complete. If the source has no readable data for the day, the task fails | about a minute; with BigQuery also one query, whose price `titler cost --day DAY` prints. The query is not billed again if the task is rerun | run `titler doctor`, correct the problem that it names, then clear the task. If the byte budget of the day is spent, the task does not fail: it is deferred, and continues after midnight UTC (in a backfill, at noon). If the end of the log names another budget, raise it. If the source has no readable data for the day, there is no retry, because `wait` has waited for it: clear `extract` when the source has the day. To publish the day as `missing`, run `titler clean --day DAY` |
| `clean` | writes the table `tokens_v1`; its success starts `titler_refresh` | seconds | clear the task; `extract` does not run again |

A run ingests one UTC day, its logical date. Airflow shows the run at the end of this day: the run shown at
2015-01-02 ingests 2015-01-01. A manual run without a date ingests yesterday.

**Backfill:** ingests a range of UTC days, both ends included. `T00Z` means midnight UTC: Airflow reads a date
without `T00Z` in the time zone of its configuration. Before you use Airflow's form, choose UTC with the clock
in Airflow's menu: the form refuses dates in another time zone. With BigQuery, look up the price first; it is free:

    titler cost --from 2015-01-01 --to 2015-01-31
    airflow backfill create --dag-id titler_ingest --from-date 2015-01-01T00Z --to-date 2015-01-31T00Z --max-active-runs 2

Airflow skips days that it has run before. To run the failed days again, add `--reprocess-behavior failed`. To
run all days again, add `--reprocess-behavior completed`. Unchanged days are not computed again. Tasks of a
nightly run go before tasks of a backfill. The days of a backfill become part of the next release.

**When it fails:** open the failed task's log: its last lines say what to type. Then clear the task: in the
grid, click the task's square, then *Clear*. Airflow has already retried the task three times, unless the
settings are wrong, a query is larger than a budget, or the source does not have the day. If single hours are missing or
lines are malformed, no task fails: `titler status --day DAY` then says `partial`.

**Who is alerted:** the receiver that the setting `alerts.kind` chooses. An alert is sent for each task that has failed
after its last retry, and for each day that is partial, missing, or collapsed (has lost nearly all of its data).
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from pendulum import datetime

from _alert import alert_failure
from _titler_task import DAY, INGESTED_DAYS, WaitForSourceOperator, add_task_docs, default_args, titler_task

with DAG(
    dag_id="titler_ingest",
    description="Ingest a source day: extract its issues and clean their text",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2015, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=2,
    on_failure_callback=alert_failure,
    default_args=default_args(retries=3, priority=2, execution_timeout=timedelta(hours=2)),
    tags=["titler", "1 daily: issues in"],
) as dag:
    limits = {"max_wait": timedelta(hours=12), "execution_timeout": timedelta(minutes=10)}
    wait = titler_task("ready", f"--day {DAY}", WaitForSourceOperator, task_id="wait", **limits)
    extract = titler_task("extract", f"--fail-if-missing --day {DAY}")
    clean = titler_task("clean", f"--day {DAY}", outlets=[INGESTED_DAYS])
    wait >> extract >> clean
    add_task_docs(dag)
