"""### One source day in: hours of GH Archive become issues, issues become tokens

| task | does | takes |
|---|---|---|
| `wait` | gives GH Archive an hour to write the day's last file; nothing to wait for in a backfill | no slot |
| `extract` | reads the day's 24 hour files, writes `issues_v1` and the verdict on the day, `source_health_v1` | minutes |
| `clean` | writes `tokens_v1`, then tells `titler_refresh` that there is a new day | a minute |

A run is one UTC day: the one that its data interval starts with, which is the day before the one in the run's name.
**Backfill** any range, both ends included:

    airflow backfill create --dag-id titler_ingest --from-date 2015-01-01 --to-date 2015-01-31 --max-active-runs 2

Days that Airflow has run already are left alone; `--reprocess-behavior completed` runs them again. What is unchanged
costs nothing: a stage whose inputs already have a batch returns it.

**When it fails.** `extract` fails when the source cannot be reached: it is retried three times; after that see
`titler doctor`, then clear the task. A missing hour or a broken line does not fail it: `titler status` shows them.

**What alerts.** A task that has failed for good, and a day that is partial, collapsed or missing: one message each.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, CronDataIntervalTimetable
from pendulum import datetime

from _stage import DAYS, defaults, failed, stage

with DAG(
    dag_id="titler_ingest",
    description="A source day: extract its issues, clean their text",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2015, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=2,
    on_failure_callback=failed,
    default_args=defaults(retries=3, retry_exponential_backoff=True, execution_timeout=timedelta(hours=2)),
    tags=["titler", "1 daily: issues in"],
):
    wait = TimeDeltaSensor(task_id="wait", delta=timedelta(hours=1), mode="reschedule", poke_interval=300)
    extract = stage("extract", "--day {{ data_interval_start | ds }}")
    clean = stage("clean", "--day {{ data_interval_start | ds }}", outlets=[DAYS])

    wait >> extract >> clean
