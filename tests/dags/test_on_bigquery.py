"""The three DAGs once, in a real Airflow, on BigQuery's emulator: what analysts get is what the embedded warehouse gives them."""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline import release, sample, settings, warehouse
from pipeline.contracts import ISSUES
from pipeline.lake import Lake, Manifest, read_parquet
from pipeline.pins import Pinned
from pipeline.settings import Settings
from pipeline.stages import extract, plan, publish
from pipeline.warehouse import Query
from pipeline.warehouse.bigquery import client as google
from tests.emulator import PROJECT, Emulator, program, running, secrets_of, service_account
from tests.readme import NAME, SMALL, analysts_queries, poor_titles_beside_any_suggestion, title_of
from tests.warehouse.events import opened
from tests.warehouse.source import load_day

pytestmark = pytest.mark.timeout(600)  # its fixture runs fifteen tasks: two minutes on two idle cores, more beside other tests

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2024, 1, 1)
ISSUES_A_DAY = 120
MODELS = {**SMALL, "TITLER_INDEX__NEAR_DUPLICATE_DISTANCE": "1"}  # so poor a network finds few that are nearer
TASKS = {
    "titler_ingest": ["wait", "extract", "clean"],
    "titler_train": ["vocab", "vectorize", "train", "evaluate", "promote"],
    "titler_refresh": ["plan", "vectorize", "embed", "predict", "index", "publish", "collect"],
}
FAILED = "returned a non-zero exit code"  # a command's, in a task's log; Airflow would try again five minutes later


@dataclass(frozen=True)
class Night:
    """What has run. `states` are those of a DAG's tasks; both settings name one lake, in which one release was published twice.

    All of it is left in `folder`: the lake with MLflow's database, Airflow's own with its logs, what the commands printed. `account` is the
    file of the credentials that it ran with.
    """

    folder: Path
    account: Path
    states: dict[str, dict[str, str]]
    hours: Path
    lake: Lake
    bigquery: Settings
    embedded: Settings


class Airflow:
    """Runs DAGs one at a time, without a scheduler, in `home`; tasks get `environment`."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "TITLER_"))}
        self.environment = {
            **inherited,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "dags" / "plugins"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(ROOT),  # the code beside this test
            **environment,
        }
        self.run("db", "migrate")
        self.run("pools", "set", "gpu", "1", "one training at a time")

    def run(self, *arguments: str) -> None:
        """`airflow ARGUMENTS`; ends it as soon as a task has failed."""
        command = [sys.executable, "-m", "airflow", *arguments]
        lines = []
        with subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if FAILED in line:
                    process.terminate()
        with (self.home.parent / "printed.log").open("a") as log:
            log.writelines(lines)
        assert process.returncode == 0, f"airflow {' '.join(arguments)}\n{''.join(lines[-60:])}"

    def states(self, dag_id: str) -> dict[str, str]:
        """Those of the tasks of a DAG's only run."""
        with sqlite3.connect(self.home / "airflow.db") as database:
            return dict(database.execute("SELECT task_id, state FROM task_instance WHERE dag_id = ? ORDER BY start_date", [dag_id]))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    path = program()
    if path is None:
        pytest.skip("needs BigQuery's emulator: make emulator")
    with running(path, tmp_path_factory.mktemp("emulator")) as found:
        yield found


@pytest.fixture(scope="module")
def night(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A day ingested from BigQuery, a model trained, a release published there; then the same release in the embedded warehouse."""
    folder = tmp_path_factory.mktemp("night")
    hours = write_hours(folder / "hours")
    load_day(emulator, DAY, sorted(hours.glob("*.json.gz")))
    account = service_account(tmp_path_factory.mktemp("account"))
    environment = {
        **MODELS,
        "TITLER_LAKE__ROOT": str(folder / "lake"),
        "TITLER_WAREHOUSE__KIND": "bigquery",
        "TITLER_WAREHOUSE__CREDENTIALS_FILE": str(account),
        "TITLER_WAREHOUSE__PROJECT": PROJECT,
        "TITLER_WAREHOUSE__DATASET": "titler",
        "TITLER_WAREHOUSE__ENDPOINT": emulator.endpoint,
        "TITLER_WAREHOUSE__STORAGE_ENDPOINT": emulator.storage_endpoint,
    }
    on_bigquery = settings_of(environment)
    google.connect(on_bigquery.warehouse).create_dataset("titler")

    airflow = Airflow(folder / "airflow", environment)
    for dag_id in TASKS:
        airflow.run("dags", "test", dag_id, str(DAY))

    embedded = settings_of({**MODELS, "TITLER_LAKE__ROOT": str(folder / "lake"), "TITLER_SOURCE__HOURS": str(hours)})
    lake = Lake(str(folder / "lake"))
    publish.make_current(lake, embedded, release.published(lake)[-1])
    return Night(folder, account, {dag_id: airflow.states(dag_id) for dag_id in TASKS}, hours, lake, on_bigquery, embedded)


def write_hours(folder: Path) -> Path:
    """The sample's, and in one hour an issue without a title, which is malformed wherever it is read."""
    sample.write(folder, days=1, first_day=DAY, issues_per_day=ISSUES_A_DAY)
    first = min(folder.glob("*.json.gz"))
    untitled = opened(1, event_id="1", at=f"{DAY}T00:30:00Z", title=None)
    first.write_bytes(first.read_bytes() + gzip.compress(json.dumps(untitled).encode() + b"\n"))
    return folder


def settings_of(environment: Mapping[str, str]) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return settings.load()


def issues_of(lake: Lake) -> tuple[Manifest, list[dict[str, Any]]]:
    """The manifest of the day's issues, and its rows."""
    manifest = lake.current(ISSUES.name, {"day": DAY.isoformat()})
    assert manifest is not None
    return manifest, [row for file in manifest.files for row in read_parquet(lake.path(f"{manifest.folder}/{file.name}")).to_pylist()]


def ask(configured: Settings, sql: str) -> list[dict[str, Any]]:
    return list(warehouse.connect(configured, "test").query(Query("analyst", sql)).to_pylist())


@pytest.mark.parametrize("dag_id", TASKS)
def test_every_task_of_a_dag_succeeds_in_its_order(night: Night, dag_id: str) -> None:
    assert list(night.states[dag_id].items()) == [(task, "success") for task in TASKS[dag_id]]


def test_what_is_published_is_current_in_the_warehouse_and_in_the_lake(night: Night) -> None:
    assert warehouse.connect(night.bigquery, "test").current_release() == release.pointed(night.lake) == release.names(night.lake)[-1]


def test_a_day_extracted_from_bigquery_is_the_day_of_the_hour_files(night: Night, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    extract.run(lake, night.embedded, [DAY])
    from_hours, expected = issues_of(lake)
    from_bigquery, found = issues_of(night.lake)
    assert found == expected
    assert len(found) == ISSUES_A_DAY
    compared = ["hours_found", "hours_missing", "events", "trainable", "untrainable"]
    assert {name: from_bigquery.figures[name] for name in compared} == {name: from_hours.figures[name] for name in compared}
    # a line that is no event is in no table
    assert (from_bigquery.figures["malformed"], from_hours.figures["malformed"]) == (1, 1 + len(sample.MALFORMED))


def test_no_secret_is_in_anything_that_it_left_behind(night: Night) -> None:
    assert {path.name for path in night.folder.rglob("*")} >= {"mlflow.db", "airflow.db", "printed.log", "manifest.json"}
    secrets = [secret.encode() for secret in secrets_of(night.account)]
    files = [path for path in night.folder.rglob("*") if path.is_file()]
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []


@pytest.mark.parametrize("sql", [sql for sql, _, _ in analysts_queries()], ids=title_of)
def test_an_analysts_query_returns_what_the_embedded_warehouse_returns(night: Night, sql: str) -> None:
    names = re.findall(NAME, sql)  # the first stays one that is none, so that the night has changed something: all of it is new
    sql = sql.replace(names[-1], release.names(night.lake)[-1]) if names else sql
    if "FROM poor_titles" in sql:
        sql = f"WITH poor_titles AS (\n{poor_titles_beside_any_suggestion()}\n)\n{sql}"
    expected = ask(night.embedded, sql)
    assert expected
    assert ask(night.bigquery, sql) == [pytest.approx(row) for row in expected]


def test_a_night_with_nothing_new_opens_no_release(night: Night) -> None:
    again = Pinned(night.lake, "releases", "again")
    assert plan.run(night.lake, night.bigquery, again).plan is None
    assert release.names(night.lake) == [release.pointed(night.lake)]
