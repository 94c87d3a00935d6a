"""A team's server from infra/compose.yaml: its services as plain processes, the lake in the object store,
a release by Airflow."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipeline import sample
from tests.support import postgres, stores
from tests.support.compose import Server
from tests.support.readme import SMALL

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(900),
]  # a database, a store, MLflow, Dask and four of Airflow's components, and a training


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    if stores.programs() is None:
        pytest.skip(stores.MISSING)
    home = tmp_path_factory.mktemp("server")
    sample.write(home / "hours", days=2, seed=1, issues_per_day=120)  # of the last day an hour is missing
    # by hand alone: the clock would ask for yesterday, which the sample lacks
    with Server(
        home,
        {
            **SMALL,
            "TITLER_SOURCE__HOURS": str(home / "hours"),
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",  # the DAGs do not change
        },
    ) as found:
        days = ("--from-date", "2024-01-01", "--to-date", "2024-01-01")
        found.run("airflow-scheduler", "airflow", "backfill", "create", "--dag-id", "titler_ingest", *days)
        found.finish("titler_ingest")
        for dag in ("titler_train", "titler_refresh"):
            found.call_airflow(f"dags/{dag}/dagRuns", logical_date=None)  # as the button does
            found.finish(dag)
        yield found


def test_a_release_is_published_with_the_lake_in_the_object_store(server: Server):
    status = json.loads(server.run("airflow-scheduler", "titler", "status", "--json"))
    assert [day["verdict"] for day in status["days"]] == ["complete"]
    assert status["release"]["issues"] == 120
    bucket = server.home / "volumes" / "minio" / "titler"
    assert (bucket / "lake" / "releases" / "current.json").is_file()
    assert not (
        Path(server.environment("airflow-scheduler")["TITLER_WAREHOUSE__PATH"]).parent / "releases"
    ).exists()


def test_an_analyst_opens_the_warehouse_without_a_key_to_the_store(server: Server):
    path = server.environment("airflow-scheduler")["TITLER_WAREHOUSE__PATH"]
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.sql("SELECT COUNT(*) FROM title_predictions").fetchall() == [(120,)]


def test_the_model_is_in_mlflow_which_shows_its_files_out_of_the_lake(server: Server):
    model = json.loads(server.run("airflow-scheduler", "titler", "status", "--json"))["model"]
    assert (model["version"], model["variant"]) == ("1", "copy")
    (picture,) = (server.home / "volumes" / "minio" / "titler" / "lake" / "mlflow").rglob("losses.png")
    assert server.artifact(picture.parents[1].name, "losses.png") == picture.read_bytes()


def test_the_doctor_finds_everything_well(server: Server):
    said = server.run("airflow-scheduler", "titler", "doctor")
    assert "s3://titler/lake can be written" in said
    assert "http://" in said


def test_the_api_server_lets_in_who_has_the_password(server: Server):
    login = f"http://{server.hosts['airflow-api-server']}:8080/auth/token"
    assert status_of(login, {"username": "admin", "password": "admin"}) == 401
    assert server.call_airflow("pools/gpu")["slots"] == 1  # logs in with the password of the secrets
    passwords = server.environment("airflow-api-server")["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]
    assert Path(passwords).stat().st_mode & 0o77 == 0


def test_mlflow_answers_to_its_own_names_alone(server: Server):
    name = f"{server.hosts['mlflow']}:5000"  # the test's services know each other by addresses
    search = f"http://{name}/api/2.0/mlflow/experiments/search"
    hosts = (name, "localhost:5000", "example.com")
    assert [status_of(search, {"max_results": 1}, Host=host) for host in hosts] == [200, 200, 403]


def status_of(url: str, body: object, **headers: str) -> int:
    """The status of the answer to a POST with a JSON value."""
    all_headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(body).encode(), all_headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
