"""A team's server from infra/compose.yaml: its services as plain processes, the lake in the object store.

Its Airflow runs the three DAGs once, on BigQuery's emulator: what analysts get is what the embedded warehouse
gives them.
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline import sample, warehouse
from pipeline.contracts import ISSUES
from pipeline.errors import UsageError, WarehouseError
from pipeline.lake.batches import MANIFEST_DOCUMENT, Lake
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned, pinned_names
from pipeline.releases.current import current_release_id
from pipeline.settings import Settings
from pipeline.source.base_names import base_name
from pipeline.stages import extract, plan
from pipeline.warehouse import Query
from tests.support import emulator, postgres, stores
from tests.support.lineage_events import batches
from tests.support.readme import (
    NAME,
    ROOT,
    analysts_queries,
    fenced,
    poor_titles_beside_any_suggestion,
    title_of,
)
from tests.support.team_night import DAY, ISSUES_PER_DAY, TASKS, TeamNight, team_night

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(1800),
]  # a database, a store, BigQuery, MLflow, Dask and four of Airflow's components, and a training

DAGS = {
    "titler_ingest": ["wait", "extract", "clean"],
    "titler_train": ["vocab", "vectorize", "train", "evaluate", "promote"],
    "titler_refresh": ["plan", "vectorize", "embed", "predict", "index", "publish", "collect"],
}
SKIPPED = "learn-ordering"  # beside the tasks of a training; the first one is before the first release
# The paths of an issue through OpenLineage's datasets; `lake` and `warehouse` stand for their addresses.
ISSUE_PATH = [
    "bigquery githubarchive.day.20240101",
    "lake issues_v1",
    "lake vectors_v1",
    "lake embeddings_v1",
    "lake segments_v1",
    "lake releases",
]
TITLE_PATH = [*ISSUE_PATH[:3], "lake title_predictions_v1", "warehouse title_predictions_v1"]
MODEL_PATH = [*ISSUE_PATH[:2], "lake vocabulary", "lake predictor", "lake embeddings_v1"]
CHAMPION_PATH = [*ISSUE_PATH[:3], "mlflow models:/titler", "lake releases"]
FLOOR_PATH = [*ISSUE_PATH[:2], "lake tokens_v1", "mlflow models:/titler"]
SIDES = ("inputs", "outputs")
PUBLISHED_TABLES = [
    f"warehouse {table}"
    for table in (
        *("source_health_v1", "duplicate_marks_v1", "title_predictions_v1", "similar_issues_v2"),
        *("duplicate_pairs_v1", "releases_v1", "release_members_v1"),
    )
]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamNight]:
    """A day ingested from BigQuery, a model trained, a release published there; then the same release in
    the embedded warehouse."""
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    bigquery = emulator.program()
    if bigquery is None:
        pytest.skip(stores.MISSING)
    account = emulator.service_account(tmp_path_factory.mktemp("account"))
    with (
        emulator.running(bigquery, tmp_path_factory.mktemp("emulator")) as running,
        team_night(tmp_path_factory.mktemp("server"), account, running) as published,
    ):
        yield published


@pytest.fixture(scope="module")
def status(night: TeamNight) -> dict[str, Any]:
    """What `titler status --json` prints on the server."""
    printed: dict[str, Any] = json.loads(night.server.run(TASKS, "titler", "status", "--json"))
    return printed


def issues_of(lake: Lake) -> tuple[Manifest, list[dict[str, Any]]]:
    """The manifest of the day's issues, and its rows."""
    manifest = lake.current(ISSUES.name, {"day": DAY.isoformat()})
    assert manifest is not None
    return manifest, lake.read(manifest, ISSUES).to_pylist()


def query_rows(configured: Settings, sql: str) -> list[dict[str, Any]]:
    return list(warehouse.connect(configured, "test").query(Query("analyst", sql)).to_pylist())


def status_of(url: str, body: object, **headers: str) -> int:
    """The status of the answer to a POST with a JSON value."""
    all_headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(body).encode(), all_headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


# The server


def test_a_release_is_published_with_the_lake_in_the_object_store(
    night: TeamNight, status: dict[str, Any]
) -> None:
    assert [day["verdict"] for day in status["days"]] == ["partial"]  # the sample's last day lacks an hour
    assert status["release"]["issues"] == ISSUES_PER_DAY
    assert (night.bucket / "lake" / "releases" / "current.json").is_file()
    assert not (Path(night.embedded.warehouse.path).parent / "releases").exists()


def test_an_analyst_opens_the_warehouse_without_a_key_to_the_store(
    night: TeamNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with duckdb.connect(night.embedded.warehouse.path, read_only=True) as connection:
        assert connection.sql("SELECT COUNT(*) FROM title_predictions").fetchall() == [(ISSUES_PER_DAY,)]


def test_the_model_is_in_mlflow_which_shows_its_files_out_of_the_lake(
    night: TeamNight, status: dict[str, Any]
) -> None:
    assert (status["model"]["version"], status["model"]["variant"]) == ("1", "copy")
    (picture,) = (night.bucket / "lake" / "mlflow").rglob("losses.png")
    assert night.server.artifact(picture.parents[1].name, "losses.png") == picture.read_bytes()


def test_the_doctor_finds_everything_well(night: TeamNight) -> None:
    # With the embedded warehouse: the emulator cannot open a read session on a table with an INT64 column.
    changed = ("env", "TITLER_WAREHOUSE__KIND=duckdb", f"TITLER_SOURCE__HOURS={night.hours}")
    report = night.server.run(TASKS, *changed, "titler", "doctor")
    hosts = night.server.hosts
    assert f"DuckDB, {night.embedded.warehouse.path}: the current release is" in report
    assert "s3://titler/lake is writable" in report
    assert f"the Dask scheduler tcp://{hosts['dask-scheduler']}:8786 answers" in report
    assert f"http://{hosts['mlflow']}:5000: champion" in report


def test_the_api_server_lets_in_who_has_the_password(night: TeamNight) -> None:
    server = night.server
    login = f"http://{server.hosts['airflow-api-server']}:8080/auth/token"
    assert status_of(login, {"username": "admin", "password": "admin"}) == 401
    assert server.call_airflow("pools/gpu")["slots"] == 1  # logs in with the password of the secrets
    passwords = server.environment("airflow-api-server")["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]
    assert Path(passwords).stat().st_mode & 0o77 == 0


def test_mlflow_answers_to_its_own_names_alone(night: TeamNight) -> None:
    name = f"{night.server.hosts['mlflow']}:5000"  # the test's services know each other by addresses
    search = f"http://{name}/api/2.0/mlflow/experiments/search"
    hosts = (name, "localhost:5000", "example.com")
    assert [status_of(search, {"max_results": 1}, Host=host) for host in hosts] == [200, 200, 403]


def files_with(secrets: list[bytes], folder: Path) -> set[str]:
    """The names of the files in a folder that contain one of the secrets. A running service may delete files
    while they are read."""
    names = set()
    for path in filter(Path.is_file, folder.rglob("*")):
        with suppress(FileNotFoundError):
            content = path.read_bytes()
            names |= {path.name for secret in secrets if secret in content}
    return names


def test_no_secret_is_in_anything_that_it_left_behind(night: TeamNight) -> None:
    names = {path.name for path in night.server.home.rglob("*")}
    assert names >= {"events.jsonl", "manifest.json", "mlflow.log", f"{TASKS}.log", "attempt=1.log"}
    secrets = [secret.encode() for secret in emulator.secrets_of(night.account)]
    assert files_with(secrets, night.server.home) == set()
    databases = night.server.dump_databases()
    assert "TABLE public.dag_run " in databases  # Airflow's
    assert "TABLE public.registered_models " in databases  # MLflow's
    assert [secret for secret in secrets if secret.decode() in databases] == []


def test_only_its_configuration_has_the_servers_own_secrets(night: TeamNight) -> None:
    secrets = [secret.encode() for secret in night.server.secrets.values()]
    assert files_with(secrets, night.server.home) == {"env", "passwords.json"}


# The night


@pytest.mark.parametrize("dag_id", DAGS)
def test_every_task_of_a_dag_succeeds_in_its_order(night: TeamNight, dag_id: str) -> None:
    states = night.server.task_states(dag_id)
    assert states.pop(SKIPPED, None) == ("skipped" if dag_id == "titler_train" else None)
    assert list(states.items()) == [(task, "success") for task in DAGS[dag_id]]


def test_what_is_published_is_current_in_the_warehouse_and_in_the_lake(night: TeamNight) -> None:
    assert (
        warehouse.connect(night.bigquery, "test").current_release()
        == current_release_id(night.lake)
        == pinned_names(night.lake, "releases")[-1]
    )


def test_a_day_extracted_from_bigquery_is_the_day_of_the_hour_files(night: TeamNight, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    extract.run(lake, night.embedded, [DAY])
    from_hours, expected = issues_of(lake)
    from_bigquery, issues = issues_of(night.lake)
    sources = [{row.pop("source") for row in rows} for rows in (issues, expected)]
    assert sources == [{f"githubarchive.day.{DAY:%Y%m%d}"}, {base_name(night.embedded.source.bases[0].base)}]
    assert issues == expected
    assert len(issues) == ISSUES_PER_DAY
    compared = ["hours_found", "hours_missing", "events", "trainable", "untrainable"]
    assert {name: from_bigquery.figures[name] for name in compared} == {
        name: from_hours.figures[name] for name in compared
    }
    # a line that is no event is in no table
    assert (from_bigquery.figures["malformed"], from_hours.figures["malformed"]) == (
        1,
        1 + len(sample.MALFORMED_LINES),
    )


# Its lineage


def test_every_task_tells_openlineage_when_it_starts_and_when_it_is_done(night: TeamNight) -> None:
    tasks = [f"{dag_id}.{task}" for dag_id, tasks in DAGS.items() for task in tasks]
    for kind in ("START", "COMPLETE"):
        reported = list(night.events.of_kind(kind))
        reported.remove(f"titler_train.{SKIPPED}")
        assert reported == tasks


@pytest.mark.parametrize(
    "path",
    [ISSUE_PATH, TITLE_PATH, MODEL_PATH, CHAMPION_PATH, FLOOR_PATH],
    ids=lambda path: path[-1] if path is not MODEL_PATH else "predictor",
)
def test_the_lineage_leads_from_a_source_day_to_the_release(night: TeamNight, path: list[str]) -> None:
    steps = night.events.steps()
    assert [step for step in pairwise(path) if step not in steps] == []


def test_what_a_task_says_that_it_read_is_what_its_batches_are_made_of(night: TeamNight) -> None:
    manifests = {
        path.parent.name: MANIFEST_DOCUMENT.parse(path.read_bytes(), str(path.parent), path.name)
        for path in (night.bucket / "lake").rglob("manifest.json")
    }
    reported = set()
    for event in night.events.of_kind("COMPLETE").values():
        inputs, outputs = (batches(event[side], "s3://titler") & set(manifests) for side in SIDES)
        # A verdict is made of the issues beside it.
        digests = {manifests[batch].digest for batch in inputs | outputs}
        assert [
            manifests[batch].folder for batch in outputs if not digests.issuperset(manifests[batch].inputs)
        ] == []
        reported |= outputs
    assert reported == set(manifests)


def test_the_page_on_lineage_lists_what_each_task_reads_and_writes(night: TeamNight) -> None:
    page = (ROOT / "docs" / "lineage.md").read_text()
    rows = re.findall(r"(?m)^\| `(titler_\w+\.\w+)` \| (.*) \| (.*) \|$", page)
    listed = {task: [set(re.findall(r"`(.+?)`", cell)) for cell in cells] for task, *cells in rows}
    reported = {
        task: [
            {
                name.split()[-1]
                for name in map(night.events.name, event[side])
                if name not in (ISSUE_PATH[0], *PUBLISHED_TABLES)
            }
            for side in SIDES
        ]
        for task, event in night.events.of_kind("COMPLETE").items()
        if event["outputs"]
    }
    assert reported == listed


def test_the_page_on_lineage_follows_a_title_back_to_its_source_day(night: TeamNight) -> None:
    of_a_row, of_a_batch = (
        sql.rstrip().rstrip(";") for sql in fenced((ROOT / "docs" / "lineage.md").read_text(), "sql")
    )
    (row,) = query_rows(night.bigquery, of_a_row)
    of_a_batch = of_a_batch.replace("events.jsonl", str(night.events.file)).replace(
        "90e6779a0f1e", row["issues_batch"]
    )
    extraction = duckdb.execute(f"SELECT task, namespace || ' ' || name FROM ({of_a_batch})").fetchall()
    assert (row["source_day"], extraction) == (DAY, [("titler_ingest.extract", ISSUE_PATH[0])])


def test_a_night_with_nothing_new_opens_no_release(night: TeamNight) -> None:
    again = Pinned(night.lake, "releases", "again")
    assert plan.run(night.lake, night.bigquery, again).plan is None
    assert pinned_names(night.lake, "releases") == [current_release_id(night.lake)]


# Last in this module: a few statements end the emulator, whose analyser is of WebAssembly.


@pytest.mark.parametrize("sql", [sql for sql, _, _ in analysts_queries()], ids=title_of)
def test_an_analysts_query_returns_what_the_embedded_warehouse_returns(night: TeamNight, sql: str) -> None:
    for name in re.findall(NAME, sql):
        sql = sql.replace(name, pinned_names(night.lake, "releases")[-1])
    if "FROM poor_titles" in sql:
        sql = f"WITH poor_titles AS (\n{poor_titles_beside_any_suggestion()}\n)\n{sql}"
    expected = query_rows(night.embedded, sql)
    # Nobody marks one of the few issues of this day, and its only release differs in nothing from itself.
    assert expected or "FROM duplicate_marks" in sql or "FROM what_changed" in sql
    try:
        rows = query_rows(night.bigquery, sql)
    except (UsageError, WarehouseError) as error:
        # After many queries the emulator's analyser fails on the largest of them, or ends the emulator.
        if "wasm trap" in error.message or "The emulator has ended" in error.message:
            pytest.skip(f"Needs an emulator whose analyser bears this query: {error.message:.200}")
        raise
    assert rows == [pytest.approx(row) for row in expected]
