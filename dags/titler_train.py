"""### A new model, weekly or by hand

| task | does | costs | when it fails |
|---|---|---|---|
| `vocab` | learns the units that the text of the days to learn from is made of (`gru`: counts its words, keeps the most frequent) | seconds | the range has no day that is cleaned, or too few repositories: `titler status` |
| `vectorize` | turns issues (`gru`: their tokens) into padded ids by that vocabulary | seconds a month | clear it: finished days are not done twice |
| `train` | trains the network, embeddings first, then titles; one at a time (pool `gpu`) | on two cores 10 minutes for 14,500 issues | clear it: it goes on from its last checkpoint |
| `evaluate` | titles, embeddings and confidence on repositories that it did not learn from | minutes | clear it |
| `promote` | makes it the champion, which the next refresh uses for every issue | seconds; then one long night | a model that is worse than the champion is not tried again: leave it, or promote it by hand with a reason |

The model is named by the run's time, its run in MLflow too. **By hand** with the button *Trigger* (a form; empty: as the settings say) or

    airflow dags trigger titler_train --conf '{"variant": "copy", "epochs": 7, "from": "2015-01-01", "to": "2015-03-31"}'

Needed once, or `train` is never started: `airflow pools set gpu 1 "one training at a time"`.
**When it fails.** The champion stays what it was, and nights go on with it; `titler rollback RELEASE` goes back after a promotion.
**What alerts.** A task that has failed for good.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param
from pendulum import datetime

from _alert import failed
from _stage import NAME, defaults, explain, stage

CHOICES = "".join(
    f"{{% if params['{name}'] %}} --{name} {{{{ params['{name}'] }}}}{{% endif %}}"
    for name in ("from", "to", "variant", "epochs")
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
    default_args=defaults(retries=1, priority=1, execution_timeout=timedelta(days=1)),
    params={
        "variant": Param(
            None,
            type=["null", "string"],
            pattern=r"^[a-z0-9_]+$(?!\n)",
            description="the network; empty: model.variant",
        ),
        "epochs": Param(
            None, type=["null", "integer"], minimum=1, description="at most so many; empty: model.epochs"
        ),
        "from": Param(
            None,
            type=["null", "string"],
            format="date",
            description="first day to learn from; empty: the first there is",
        ),
        "to": Param(
            None,
            type=["null", "string"],
            format="date",
            description="last day to learn from; empty: the last there is",
        ),
    },
    tags=["titler", "2 weekly: a model"],
) as dag:
    vocab = stage("vocab", f"{NAME}{CHOICES} --skip-code 99")
    vectorize = stage("vectorize", f"--model {NAME}")
    train = stage("train", NAME, pool="gpu")
    evaluate = stage("evaluate", NAME)
    promote = stage("promote", NAME)

    vocab >> vectorize >> train >> evaluate >> promote
    explain(dag)
