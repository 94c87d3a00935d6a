"""### A new model, weekly or by hand

| task | does |
|---|---|
| `vocab` | counts the words of the days to learn from, keeps the most frequent |
| `vectorize` | turns tokens into padded ids by that vocabulary |
| `train` | trains the network; resumes from its last checkpoint; one at a time (pool `gpu`) |
| `evaluate` | ROUGE and BLEU on repositories that it did not learn from |
| `promote` | makes it the champion, which the next refresh uses for every issue, unless it is worse than the one there is |

The model is named by the run's time, and its run, curves and sample titles are in MLflow under that name.
**By hand** with the button *Trigger* (a form) or, an empty value meaning what the settings say:

    airflow dags trigger titler_train --conf '{"variant": "gru", "epochs": 7, "from": "2015-01-01", "to": "2015-03-31"}'

Needed once: `airflow pools set gpu 1 "one training at a time"`. Without this pool `train` is never started.

**When it fails.** The champion stays what it was, and nights go on with it. Clear `train` to resume from its last checkpoint. A promotion
makes the next refresh embed every issue again; `titler rollback RELEASE` goes back. **What alerts.** A task that has failed for good.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param
from pendulum import datetime

from _stage import NAME, defaults, failed, stage

CHOICES = "".join(
    f"{{% if params['{name}'] %}} --{name} {{{{ params['{name}'] }}}}{{% endif %}}" for name in ("from", "to", "variant", "epochs")
)

with DAG(
    dag_id="titler_train",
    description="A model: vocabulary, training, evaluation, promotion",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 6 * * 0", timezone="UTC"),
    start_date=datetime(2015, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=failed,
    default_args=defaults(retries=1, execution_timeout=timedelta(days=1)),
    params={
        "variant": Param(None, type=["null", "string"], pattern=r"^[a-z0-9_]+$", description="the network"),
        "epochs": Param(None, type=["null", "integer"], minimum=1, description="at most so many"),
        "from": Param(None, type=["null", "string"], format="date", description="first day to learn from"),
        "to": Param(None, type=["null", "string"], format="date", description="last day to learn from"),
    },
    tags=["titler", "2 weekly: a model"],
):
    vocab = stage("vocab", NAME + CHOICES)
    vectorize = stage("vectorize", f"--model {NAME}")
    train = stage("train", NAME, pool="gpu")
    evaluate = stage("evaluate", NAME)
    promote = stage("promote", NAME)

    vocab >> vectorize >> train >> evaluate >> promote
