"""### The nightly release: titles, embeddings and neighbours for every new issue

| task | does | costs | when it fails |
|---|---|---|---|
| `plan` | creates a release: records which model (the champion) and which batches of every cleaned day it uses. If nothing is new, or there is no champion yet, all tasks are skipped | seconds | the extraction of a day did not finish, or the warehouse does not answer. Do what the end of the log says, then clear the task |
| `vectorize` | turns the text of each new issue into ids of the champion's vocabulary, cut or padded to one length. For the networks `gru` and `gru_cudnn`, the text comes from the table `tokens_v1` | seconds per day | clear the task; finished days are reused |
| `embed` | computes an embedding (300 numbers) for each new issue | 15 s for 23,000 issues on two cores | clear the task; finished days, and finished files of a day, are reused |
| `predict` | writes a title and its confidence for each new issue | 3 minutes for 23,000 issues on two cores | clear the task; finished days, and finished files of a day, are reused |
| `index` | builds the segments (parts) of the index that have new issues, measures the recall of the index, stores the similar issues and the probable duplicates of the new issues, and measures how many of the duplicates that people marked are listed as similar issues, and how many are suggested (listed with a probability of at least `similar.min_probability`) | seconds; minutes with a new embedding network or after a backfill | if the recall is too low, the end of the log says which settings to change; it is not retried. Otherwise clear the task |
| `publish` | checks the release, then makes it current in one step | seconds; with BigQuery, loads are free, and the checks cost less than a cent | if a check fails, the end of the log says which one and what to type; it is not retried. If BigQuery's byte budget of the day is spent, the task goes on after midnight UTC by itself. Otherwise clear the task |
| `collect` | removes old releases and the files that nothing uses any more | seconds | clear the task; the new release is already current |

The DAG runs every day at 04:00 UTC. It also runs after `titler_ingest` has finished a day, and after
`titler_train` has promoted a model. Only one run is active at a time: days that are ingested during a run become part of the next run. A run with nothing to do ends in seconds. The
release is named after the run's time, for example `titler publish --release 20150104T040000Z`.

**When it fails:** readers still see the last published release. Open the failed task's log: its last lines
say what to type. Then clear the task: in the grid, click the task's square, then *Clear*. `titler rollback
RELEASE` makes an earlier release current until a run has new data to publish.

**Who is alerted:** the receiver that `alerts.kind` chooses, if a task has failed after its last retry, if a
release is stopped, if a BigQuery budget is spent, or if a run has not ended three hours after it was queued.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable
from pendulum import datetime

from _alert import alert_failure, deadline_after
from _titler_task import CHAMPION, INGESTED_DAYS, RUN_NAME, add_task_docs, default_args, titler_task

with DAG(
    dag_id="titler_refresh",
    description="Publish a release: embeddings, titles and neighbours of the new issues",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 4 * * *", timezone="UTC"), assets=INGESTED_DAYS | CHAMPION
    ),
    start_date=datetime(2015, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=alert_failure,
    default_args=default_args(retries=2, priority=3, execution_timeout=timedelta(hours=12)),
    deadline=deadline_after(hours=3),
    tags=["titler", "3 nightly: a release"],
) as dag:
    release = f"--release {RUN_NAME}"
    plan = titler_task("plan", f"{release} --skip-code 99")
    vectorize = titler_task("vectorize", release)
    embed = titler_task("embed", release)
    predict = titler_task("predict", release)
    index = titler_task("index", release)
    publish = titler_task("publish", release)
    collect = titler_task("collect", "")
    plan >> vectorize >> embed >> predict >> index >> publish >> collect
    add_task_docs(dag)
