"""The three DAGs as a real Airflow reads them: their order, their schedules, and the commands that they
come to."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from airflow.sdk.execution_time import macros
from airflow.utils.file import list_py_file_paths

from pipeline.networks.variants import VARIANTS

DAGS = Path(__file__).resolve().parents[2] / "dags"

HEAVY = [
    "pipeline",
    "tensorflow",
    "keras",
    "mlflow",
    "dask",
    "distributed",
    "duckdb",
    "annoy",
    "pyarrow",
    "sqlglot",
    "numpy",
    "kubernetes",
]

DAG_FILES = ["titler_ingest.py", "titler_refresh.py", "titler_train.py"]

COMMANDS = {
    "titler_ingest": [
        "titler ready --day 2015-01-03",
        "titler extract --fail-if-missing --day 2015-01-03",
        "titler clean --day 2015-01-03",
    ],
    "titler_train": [
        "titler vocab 20150104T031200Z --skip-code 99",
        "titler vectorize --model 20150104T031200Z",
        "titler train 20150104T031200Z",
        "titler evaluate 20150104T031200Z",
        "titler promote 20150104T031200Z",
        "titler learn-ordering --skip-code 99",
    ],
    "titler_refresh": [
        "titler plan --release 20150104T031200Z --skip-code 99",
        "titler vectorize --release 20150104T031200Z",
        "titler embed --release 20150104T031200Z",
        "titler predict --release 20150104T031200Z",
        "titler index --release 20150104T031200Z",
        "titler publish --release 20150104T031200Z",
        "titler collect",
    ],
}
WITH_PARAMETERS = (
    "titler vocab 20150104T031200Z --from 2015-01-01 --to 2015-01-03 --variant copy --epochs 4 "
    "--embedding new --skip-code 99"
)


AT = datetime(2015, 1, 4, 3, 12, tzinfo=UTC)


def rendered(dag, times=None, **parameters):
    """The commands of a run at AT, in order."""
    context = {
        "dag_run": SimpleNamespace(run_after=AT),
        "macros": macros,
        "params": {**dag.params.dump(), **parameters},
        **(times or {}),
    }
    tasks = [task for task in dag.topological_sort() if hasattr(task, "bash_command")]
    return [
        task.render_template(task.bash_command, context, jinja_env=dag.get_template_env()) for task in tasks
    ]


def test_airflow_finds_exactly_the_three_dags(airflow_dags):
    assert sorted(airflow_dags) == ["titler_ingest", "titler_refresh", "titler_train"]


def test_the_dags_import_without_the_pipeline_and_its_libraries(tmp_path):
    code = (
        "import sys, json, titler_ingest, titler_train, titler_refresh;"
        f"print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}} & set({HEAVY}))))"
    )
    environment = {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(DAGS), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("dag_id", COMMANDS)
def test_a_run_comes_to_these_commands(airflow_dags, dag_id):
    assert rendered(airflow_dags[dag_id]) == COMMANDS[dag_id]


@pytest.mark.parametrize(
    ("times", "day"),
    [
        ({"logical_date": datetime(2015, 1, 3, tzinfo=UTC)}, "2015-01-03"),  # the night's
        (
            {"logical_date": datetime(2014, 7, 1, tzinfo=UTC)},
            "2014-07-01",
        ),  # a backfill's, or asked for by hand
        ({"logical_date": AT}, "2015-01-03"),  # by hand, with what Airflow's form proposes
        ({}, "2015-01-03"),  # by hand, without a date
    ],
)
def test_the_day_of_a_run(airflow_dags, times, day):
    assert rendered(airflow_dags["titler_ingest"], times) == [
        f"titler ready --day {day}",
        f"titler extract --fail-if-missing --day {day}",
        f"titler clean --day {day}",
    ]


def test_parameters_of_a_training_reach_its_first_command(airflow_dags):
    days = {"from": "2015-01-01", "to": "2015-01-03"}
    chosen = {"variant": "copy", "epochs": 4, "embedding": "new", **days}
    assert rendered(airflow_dags["titler_train"], **chosen)[0] == WITH_PARAMETERS


@pytest.mark.parametrize(
    "command", [*(command for commands in COMMANDS.values() for command in commands), WITH_PARAMETERS]
)
def test_the_command_line_understands_every_command(command):
    from pipeline.cli import app

    group: Any = typer.main.get_command(app)
    context = group.make_context("titler", shlex.split(command)[1:])
    name, verb, arguments = group.resolve_command(context, [*context._protected_args, *context.args])
    assert verb.make_context(name, arguments, parent=context).args == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("variant", "gru; rm -rf /"),
        ("variant", "$(id)"),
        ("variant", "gru\n"),
        ("epochs", 0),
        ("epochs", "3 --force"),
        ("embedding", "new; id"),
        ("from", "2015-13-01"),
        ("to", "2015-01-01; id"),
    ],
)
def test_a_training_refuses_a_parameter_that_a_shell_could_read_otherwise(airflow_dags, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        airflow_dags["titler_train"].params.get_param(name).resolve(value)


@pytest.mark.parametrize(
    ("dag_id", "independent"),
    [("titler_ingest", set()), ("titler_train", {"learn-ordering"}), ("titler_refresh", set())],
)
def test_the_tasks_of_a_dag_are_one_chain_and_independent_ones(airflow_dags, dag_id, independent):
    dag = airflow_dags[dag_id]
    alone = {task.task_id for task in dag.tasks if not task.upstream_task_ids | task.downstream_task_ids}
    assert alone == independent
    tasks = [task for task in dag.topological_sort() if task.task_id not in alone]
    assert [sorted(task.downstream_task_ids) for task in tasks] == [
        *([task.task_id] for task in tasks[1:]),
        [],
    ]


def test_ingest_covers_the_utc_day_that_is_over(airflow_dags):
    schedule = airflow_dags["titler_ingest"].schedule
    assert (type(schedule).__name__, schedule.expression, str(schedule.timezone)) == (
        "CronDataIntervalTimetable",
        "0 0 * * *",
        "UTC",
    )


def test_ingest_waits_until_noon_for_the_sources_last_hour(airflow_dags):
    wait = airflow_dags["titler_ingest"].get_task("wait")
    assert (wait.max_wait, wait.poll_interval) == (timedelta(hours=12), timedelta(minutes=5))
    assert wait.upstream_task_ids == set()


def test_the_form_of_a_training_offers_every_network(airflow_dags):
    schema = airflow_dags["titler_train"].params.get_param("variant").schema
    assert schema["enum"] == [None, *VARIANTS]


def test_training_is_weekly(airflow_dags):
    schedule = airflow_dags["titler_train"].schedule
    assert (type(schedule).__name__, schedule.expression) == ("CronTriggerTimetable", "0 6 * * 0")


def test_refresh_runs_nightly_and_when_a_day_was_ingested_or_a_model_was_promoted(airflow_dags):
    schedule = airflow_dags["titler_refresh"].schedule
    tasks = airflow_dags["titler_ingest"].get_task("clean"), airflow_dags["titler_train"].get_task("promote")
    assert schedule.timetable.expression == "0 4 * * *"
    assert (
        type(schedule.asset_condition).__name__,
        [asset.name for asset in schedule.asset_condition.objects],
    ) == (
        "AssetAny",
        ["titler_days", "titler_champion"],
    )
    assert [[asset.name for asset in task.outlets] for task in tasks] == [
        ["titler_days"],
        ["titler_champion"],
    ]


@pytest.mark.parametrize("dag_id", ["titler_train", "titler_refresh"])
def test_two_trainings_or_two_refreshes_never_run_at_once(airflow_dags, dag_id):
    assert airflow_dags[dag_id].max_active_runs == 1


@pytest.mark.parametrize("dag_id", COMMANDS)
def test_missed_runs_are_not_caught_up_unasked(airflow_dags, dag_id):
    assert airflow_dags[dag_id].catchup is False


@pytest.mark.parametrize(
    ("dag_id", "run_id", "weight"),
    [
        ("titler_refresh", "scheduled__2015-01-04T04:00:00+00:00", 3),
        ("titler_ingest", "scheduled__2015-01-04T00:00:00+00:00", 2),
        ("titler_ingest", "manual__2015-01-04T00:00:00+00:00", 2),
        ("titler_train", "scheduled__2015-01-04T06:00:00+00:00", 1),
        ("titler_ingest", "backfill__2015-01-04T00:00:00+00:00", 0),
    ],
)
def test_a_night_goes_before_a_training_and_that_before_a_backfill(airflow_dags, dag_id, run_id, weight):
    from airflow.task.priority_strategy import validate_and_load_priority_weight_strategy

    for task in airflow_dags[dag_id].tasks:
        instance: Any = SimpleNamespace(task=task, run_id=run_id)
        assert validate_and_load_priority_weight_strategy(task.weight_rule).get_weight(instance) == weight


def test_only_training_takes_the_gpu_pool(airflow_dags):
    assert {task.task_id for dag in airflow_dags.values() for task in dag.tasks if task.pool == "gpu"} == {
        "train"
    }


def test_every_task_ends_at_some_time(airflow_dags):
    limits = {
        f"{dag_id}.{task.task_id}": task.execution_timeout
        for dag_id, dag in airflow_dags.items()
        for task in dag.tasks
    }
    assert limits.pop("titler_ingest.wait") == timedelta(minutes=10)  # each time it asks
    expected = {
        "titler_ingest": timedelta(hours=2),
        "titler_refresh": timedelta(hours=12),
        "titler_train": timedelta(days=1),
    }
    assert limits == {name: expected[name.partition(".")[0]] for name in limits}


def test_what_is_tried_again_waits_twice_as_long_each_time(airflow_dags):
    assert {task.retry_exponential_backoff for dag in airflow_dags.values() for task in dag.tasks} == {2.0}
    assert {dag_id: {task.retries for task in dag.tasks} for dag_id, dag in airflow_dags.items()} == {
        "titler_ingest": {3},
        "titler_refresh": {2},
        "titler_train": {1},
    }


@pytest.mark.parametrize("dag_id", COMMANDS)
def test_every_task_has_a_page_that_is_its_row_of_the_dags_own(airflow_dags, dag_id):
    for task in airflow_dags[dag_id].tasks:
        page = re.fullmatch(
            r"\*\*Does:\*\* (.+)\n\n\*\*Costs:\*\* (.+)\n\n\*\*When it fails:\*\* (.+)", task.doc_md
        )
        assert page is not None, task.doc_md
        assert f"| `{task.task_id}` | {page[1]} | {page[2]} | {page[3]} |" in airflow_dags[dag_id].doc_md


def test_every_task_has_an_owner(airflow_dags):
    assert {task.owner for dag in airflow_dags.values() for task in dag.tasks} == {"titler"}


@pytest.mark.parametrize("path", sorted(DAGS.glob("titler_*.py")), ids=lambda path: path.stem)
def test_a_dag_file_stays_a_page(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60


def test_airflow_parses_only_the_files_of_dags():
    paths = [Path(path) for path in list_py_file_paths(DAGS, safe_mode=False)]
    assert sorted(path.relative_to(DAGS).as_posix() for path in paths) == DAG_FILES
