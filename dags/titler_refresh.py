"""### The nightly release: every new issue gets its title, its embedding and its neighbours

| task | does | costs | when it fails |
|---|---|---|---|
| `plan` | pins the champion and the batch of every day; with nothing new, or no champion yet, all else is skipped | seconds | `titler status`: a day has no verdict, or the warehouse does not answer |
| `vectorize` | issues (of a champion of words: tokens) to ids by the champion's vocabulary, days without them only | seconds a day | clear it: finished days are not done twice |
| `embed` | 300 numbers an issue | on two cores 15 s for 23,000 issues | the same |
| `predict` | a title and its confidence an issue | on two cores 3 minutes for 23,000 issues | the same |
| `index` | Annoy over all issues, its recall, and the neighbours of the new ones | on two cores 51 s for 23,000 issues | a recall that is too low is not tried again: the end of its log says which settings |
| `publish` | checks the release, then makes it current in one step | seconds; with BigQuery its loads are free, its checks less than a cent | a failed check is not tried again: the end of its log says which, and what to type |
| `collect` | removes what no kept release needs | seconds | clear it; the release is current already |

Runs at 04:00 UTC and whenever `titler_ingest` has finished a day, one run at a time; days that came meanwhile enter together.
A run with nothing to do ends in seconds. The release is named by the run's time: its verbs take `--release 20150104T040000Z`.

**When it fails.** Readers still see the last good release. What may pass is tried twice more. `titler status` shows what is current,
`titler rollback RELEASE` goes back, until a run finds something new.

**What alerts.** A task that has failed for good, a release that is stopped, a budget that is spent, and a run that is not done
three hours after it was queued: at 07:00 UTC for the nightly one.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable
from pendulum import datetime

from _alert import due, failed
from _stage import DAYS, NAME, defaults, explain, stage

with DAG(
    dag_id="titler_refresh",
    description="A release: embeddings, titles, neighbours of all that is new; then current",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 4 * * *", timezone="UTC"), assets=[DAYS]),
    start_date=datetime(2015, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=failed,
    default_args=defaults(retries=2, priority=3, execution_timeout=timedelta(hours=12)),
    deadline=due(hours=3),
    tags=["titler", "3 nightly: a release"],
) as dag:
    release = f"--release {NAME}"
    plan = stage("plan", f"{release} --skip-code 99")
    vectorize = stage("vectorize", release)
    embed = stage("embed", release)
    predict = stage("predict", release)
    index = stage("index", release)
    publish = stage("publish", release)
    collect = stage("collect", "")

    plan >> vectorize >> embed >> predict >> index >> publish >> collect
    explain(dag)
