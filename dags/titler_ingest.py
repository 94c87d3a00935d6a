"""### Ingest one day of GH Archive: extract its issues and clean their text

| task | does | costs | when it fails |
|---|---|---|---|
| `wait` | waits until the source has the last hour of the day: its hour file or, with BigQuery, its rows in the day's table. It waits until noon UTC of the next day at the latest, and not at all for older days | no task slot while it waits | run `titler doctor`, correct the setting it names, clear the task. A source that cannot be reached is not a failure: it is checked every 5 minutes until noon |
| `extract` | reads the day's hours; writes `issues_v1` and, in `source_health_v1`, whether the day is complete | about a minute; with BigQuery one scan, which is not billed again if the task is rerun; `titler cost --day DAY` prints its price | run `titler doctor`, correct what it names, clear the task. If a budget is spent, the end of the log says which setting to raise |
| `clean` | writes `tokens_v1`; its success starts `titler_refresh` | seconds | clear the task; `extract` does not run again |

A run ingests one UTC day, its logical date. Airflow shows the run at the time when the day ended: the run of
2015-01-02 ingests the day 2015-01-01. A manual run without a date ingests yesterday.

**Backfill:** ingests a range of days, both ends included. With BigQuery, look up the price first, for free:

    titler cost --from 2015-01-01 --to 2015-01-31
    airflow backfill create --dag-id titler_ingest --from-date 2015-01-01 --to-date 2015-01-31 --max-active-runs 2

Airflow skips days that it has run before. Add `--reprocess-behavior failed` to run the failed ones again,
`completed` to run all of them. Unchanged days are not computed again. Tasks of a backfill get slots after
those of a nightly run. The days of a backfill become part of the next release.

**When it fails:** open the log: its last lines say what to type. Then clear the task: in the grid, click its
square, then *Clear*. Airflow has already retried the task three times, unless the settings are wrong or the
budget is spent. A missing hour or a malformed line fails no task: `titler status --day DAY` then says `partial`.

**Who is alerted:** the receiver that the setting `alerts.kind` chooses. One message per task that failed
after its last retry, and per day that is partial, collapsed (has lost most of its issues) or missing.
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
    extract = titler_task("extract", f"--day {DAY}")
    clean = titler_task("clean", f"--day {DAY}", outlets=[INGESTED_DAYS])
    wait >> extract >> clean
    add_task_docs(dag)
