"""### One source day in: hours of GH Archive become issues, issues become tokens

| task | does | costs | when it fails |
|---|---|---|---|
| `wait` | waits for the file of the day's 24th hour, or that hour in the day's table in BigQuery; no longer than noon UTC, and not at all for a day that ended before | no slot while it waits | a mistake in the settings: `titler doctor`; a source that cannot be reached is asked again until noon |
| `extract` | reads the day's hours, writes `issues_v1` and the verdict on the day, `source_health_v1` | a minute; with BigQuery the price of one scan, not twice: `titler cost` | `titler doctor`, then clear it; a spent budget waits for you, see the end of its log |
| `clean` | writes `tokens_v1`, then tells `titler_refresh` that there is a new day | seconds | clear it: what `extract` did is not done twice |

A run is one UTC day, its logical date: the day before the one that Airflow calls the run by. Triggered by hand with no date, yesterday.
**Backfill** any range, both ends included. With BigQuery ask first what it will cost; nothing is read for the answer:

    titler cost --from 2015-01-01 --to 2015-01-31
    airflow backfill create --dag-id titler_ingest --from-date 2015-01-01 --to-date 2015-01-31 --max-active-runs 2

Days that Airflow has run already are left alone; those that failed, too: `--reprocess-behavior failed` takes these up, `completed` all of them. What is unchanged costs
nothing: a stage whose inputs already have a batch returns it. Its tasks go after those of a night, its days into the next release.

**When it fails.** A missing hour or a broken line fails nothing: `titler status` shows them, and the day says `partial`. What
may pass is tried three times more; a mistake or a spent budget is not.

**What alerts.** A task that has failed for good, and a day that is partial, collapsed or missing: one message each.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from pendulum import datetime

from _alert import failed
from _stage import DAY, DAYS, Wait, defaults, explain, stage

with DAG(
    dag_id="titler_ingest",
    description="A source day: extract its issues, clean their text",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2015, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=2,
    on_failure_callback=failed,
    default_args=defaults(retries=3, priority=2, execution_timeout=timedelta(hours=2)),
    tags=["titler", "1 daily: issues in"],
) as dag:
    wait = stage(
        "ready",
        f"--day {DAY}",
        Wait,
        task_id="wait",
        patience=timedelta(hours=12),
        execution_timeout=timedelta(minutes=10),
    )
    extract = stage("extract", f"--day {DAY}")
    clean = stage("clean", f"--day {DAY}", outlets=[DAYS])

    wait >> extract >> clean
    explain(dag)
