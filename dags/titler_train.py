"""### A new model: weekly, or by hand

| task | does | costs | when it fails |
|---|---|---|---|
| `vocab` | creates a model: records its training days. Takes the vocabulary and the embedding network of the champion if they suit the new model and no new ones are requested. Otherwise learns a vocabulary from the text of the training days: for the networks `gru` and `gru_cudnn`, the most frequent words. If no day is cleaned yet, all tasks are skipped | seconds | the range has no cleaned day, or too few repositories: look at `titler status`, then trigger the DAG with another range |
| `vectorize` | turns the text of each training issue into ids of the vocabulary, cut or padded to one length. For the networks `gru` and `gru_cudnn`, the text comes from the table `tokens_v1` | seconds per month of days | clear the task; finished days are reused |
| `train` | trains the network: first the embeddings, unless they are taken from the champion, then the titles. The pool `gpu` allows one training at a time | 10 minutes for 14,500 issues on two cores | clear the task; it resumes from its last checkpoint. The checkpoint is in the lake, so a new pod resumes, too |
| `evaluate` | scores titles, embeddings and confidence on repositories that are held out from training | minutes | clear the task |
| `promote` | makes the model the champion and starts a run of `titler_refresh`. This run uses the new champion for every issue. Titles that are not better than the first words of the body are withheld until somebody accepts them: `titler promote MODEL --accept --because "REASON"` | seconds; that run of `titler_refresh` takes long, because every issue gets a new title (`release.retitle_days` limits this). Issues are embedded again only if the embedding network is new | a model that is worse than the champion is refused, and the task is not retried. Do nothing, or promote the model anyway: `titler promote MODEL --force --because "REASON"` |
| `learn-ordering` | learns from duplicate marks in which order similar issues should be listed. New releases use the learned ordering if it is better than the default weights. If there is no release yet, or too few marks, the task is skipped. It does not depend on the other tasks | minutes | clear the task; until then, new releases use the current ordering |

The DAG runs every Sunday at 06:00 UTC. The run's time names the model and its MLflow run: `20150104T060000Z`.

**By hand:** the *Trigger* button opens a form; an empty field means the default. From a shell, type:

    airflow dags trigger titler_train --conf '{"epochs": 7, "from": "2015-01-01", "to": "2015-03-31"}'

**Set up once:** `airflow pools set gpu 1 "one training at a time"`. Without this pool `train` never starts.

**When it fails:** nightly runs continue to use the present champion. Open the failed task's log: its last
lines say what to type. Then clear the task: in the grid, click the task's square, then *Clear*. To undo a
promotion, make the earlier release current with `titler rollback RELEASE`. Then make the earlier model the
champion again: `titler promote MODEL --force --because "REASON"`.

**Who is alerted:** the receiver that `alerts.kind` chooses, for each task that fails after its last retry.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from pendulum import datetime

from _alert import alert_failure
from _titler_task import CHAMPION, RUN_NAME, add_task_docs, default_args, titler_task
from _training_form import OPTIONS, PARAMS

with DAG(
    dag_id="titler_train",
    description="Train a model: vocabulary, training, evaluation, promotion",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 6 * * 0", timezone="UTC"),
    start_date=datetime(2015, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=alert_failure,
    default_args=default_args(retries=1, priority=1, execution_timeout=timedelta(days=1)),
    params=PARAMS,
    tags=["titler", "2 weekly: a model"],
) as dag:
    vocab = titler_task("vocab", f"{RUN_NAME}{OPTIONS} --skip-code 99")
    vectorize = titler_task("vectorize", f"--model {RUN_NAME}")
    train = titler_task("train", RUN_NAME, pool="gpu")
    evaluate = titler_task("evaluate", RUN_NAME)
    promote = titler_task("promote", RUN_NAME, outlets=[CHAMPION])
    titler_task("learn-ordering", "--skip-code 99")
    vocab >> vectorize >> train >> evaluate >> promote
    add_task_docs(dag)
