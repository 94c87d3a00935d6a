"""`make up` as a person runs it, in New York: a command in a process group of its own, its pages in a real
browser over a lake with two trainings and an ingested day, then Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from browser import Browser
from demo import DagWatcher
from local_airflow import LOOPBACK, AirflowError, LocalAirflow, free_port
from pipeline.cli import app
from pipeline.sample import write
from pipeline.settings import LakeSettings, Settings
from tests.support import backfill_form
from tests.support.receivers import serving
from up import airflow_home, check_port, exclusive_lock, mlflow_page

pytestmark = pytest.mark.timeout(900)
SCRIPT = Path(__file__).resolve().parents[2] / "infra" / "up.py"
NEW_YORK = {"TZ": "America/New_York", "AIRFLOW__CORE__DEFAULT_TIMEZONE": "America/New_York"}
DAY_RUN = "backfill__2024-01-02T00:00:00+00:00"  # of 2024-01-01: Airflow names a run by the end of its day
SMALL = {
    "TITLER_TEXT__SUBWORDS": "600",
    "TITLER_TEXT__BODY_UNITS": "64",
    "TITLER_MODEL__HIDDEN_SIZE": "16",
    "TITLER_MODEL__EMBEDDING_SIZE": "16",
    "TITLER_MODEL__CONTRAST_EPOCHS": "1",
    "TITLER_MODEL__EPOCHS": "1",
    "TITLER_MODEL__BATCH_SIZE": "1024",
}


@dataclass(frozen=True)
class Site:
    """A running `make up`. `printed` is what it printed, and `runs` are MLflow's run ids by name."""

    lake: Path
    served: LocalAirflow
    mlflow_port: int
    printed: str
    runs: dict[str, str]

    @property
    def mlflow(self) -> str:
        return f"http://{LOOPBACK}:{self.mlflow_port}/#"

    @property
    def ports(self) -> tuple[int, int]:
        return self.served.port, self.mlflow_port


def start(environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    """`infra/up.py` in a process group of its own, as a shell starts a command, so that a Ctrl-C is a
    signal to the group."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *options],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def start_another(site: Site, *options: str) -> str:
    """The output of another `make up` on the same lake, which ends at once."""
    lake = str(site.lake)
    return start({"TITLER_LAKE__ROOT": lake, "TITLER_SOURCE__HOURS": lake}, *options).communicate()[0]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`make up` over a lake with two trainings, in which a backfill has ingested a day again.

    At the end, Ctrl-C must stop everything that was started.
    """
    folder = tmp_path_factory.mktemp("up")
    lake = folder / "lake"
    settings = {**SMALL, "TITLER_LAKE__ROOT": str(lake), "TITLER_SOURCE__HOURS": str(folder / "hours")}
    write(folder / "hours", days=1, issues_per_day=80)
    train(settings)
    airflow, mlflow = free_port(), free_port()
    started = start({**settings, **NEW_YORK}, "--airflow-port", str(airflow), "--mlflow-port", str(mlflow))
    assert started.stdout is not None
    served = LocalAirflow(lake / "airflow", NEW_YORK, airflow)
    try:
        printed = ""
        while "Press Ctrl-C" not in printed and (line := started.stdout.readline()):
            printed += line
        day = ("--from-date", "2024-01-01T00Z", "--to-date", "2024-01-01T00Z")
        served.run("backfill", "create", "--dag-id", "titler_ingest", *day)
        DagWatcher(served, "titler_ingest").wait_until_done()
        logged_runs = MlflowClient(f"sqlite:///{lake}/mlflow.db").search_runs(["1"])
        runs = {str(run.info.run_name): run.info.run_id for run in logged_runs}
        yield Site(lake, served, mlflow, printed, runs)
    finally:
        os.killpg(started.pid, signal.SIGINT)
        last_lines = started.stdout.read().splitlines()
        code = started.wait()
    assert last_lines[-1] == "Airflow and MLflow are stopped."
    assert (code, served.processes(), listens(airflow), listens(mlflow)) == (130, [], False, False)


def train(settings: dict[str, str]) -> None:
    """Runs the whole job on the day, and a second training."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        for name, value in settings.items():
            patch.setenv(name, value)
        for command in (
            "run --from 2024-01-01 --to 2024-01-01",
            "vocab second --variant gru_cudnn",
            "vectorize --model second",
            "train second",
            "evaluate second",
        ):  # in this process: importing TensorFlow takes longer than most of them
            assert app(args=command.split(), standalone_mode=False) in (None, 0)


def page(port: int, path: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"http://{LOOPBACK}:{port}{path}", timeout=30
    ) as answer:
        return str(answer.read().decode())


def test_it_prints_the_addresses_the_user_and_the_lake(site: Site) -> None:
    airflow, mlflow = site.ports
    assert f"Airflow  http://127.0.0.1:{airflow}   no password" in site.printed
    assert f"MLflow   http://127.0.0.1:{mlflow}/#/experiments" in site.printed
    assert f"\nLake     {site.lake}\n" in site.printed


def test_both_pages_answer(site: Site) -> None:
    airflow, mlflow = site.ports
    assert "<title>Airflow</title>" in page(airflow, "/")
    assert "<title>MLflow</title>" in page(mlflow, "/")


def test_everything_runs_and_listens_on_loopback_only(site: Site) -> None:
    family = site.served.processes()
    commands = [" ".join(process.cmdline()) for process in family]
    expected = ("scheduler", "triggerer", "mlflow")
    assert [name for name in expected if not any(name in command for command in commands)] == []
    addresses = {
        connection.laddr.ip
        for process in family
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_a_second_one_on_the_same_lake_leaves_the_first_alone(site: Site) -> None:
    ports = ("--airflow-port", str(free_port()), "--mlflow-port", str(free_port()))
    printed = start_another(site, *ports)
    assert "Another `make up` runs in " in printed
    assert "TITLER_LAKE__ROOT=... make up" in printed
    assert "<title>Airflow</title>" in page(site.served.port, "/")


def test_a_port_in_use_is_one_clear_line(site: Site) -> None:
    port = site.served.port
    assert (
        start_another(site, "--airflow-port", str(port))
        == f"Port {port} of 127.0.0.1 cannot be used (Address already in use). "
        f"Choose another port:  make up AIRFLOW_PORT={port + 1}\n"
    )


def test_the_dates_of_a_backfill_as_documented_are_days_in_utc(site: Site) -> None:
    runs = site.served.get("dags/titler_ingest/dagRuns")["dag_runs"]
    assert [(run["logical_date"], run["state"]) for run in runs] == [("2024-01-01T00:00:00Z", "success")]


def test_a_setting_that_is_none_is_answered_as_everywhere(tmp_path: Path) -> None:
    environment = {**os.environ, "TITLER_LAKE__ROOTS": "x"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("TITLER_LAKE__ROOTS: no such setting; the nearest is TITLER_LAKE__ROOT.\n")


def test_a_free_port_passes() -> None:
    check_port(free_port(), "AIRFLOW_PORT")


@pytest.mark.parametrize(
    ("root", "home"), [("/data/lake", "/data/lake/airflow"), ("file:///data/lake", "/data/lake/airflow")]
)
def test_airflow_lies_inside_the_lake(root: str, home: str) -> None:
    assert airflow_home(Settings(lake=LakeSettings(root=root))) == Path(home)


def test_airflow_lies_here_where_the_lake_is_a_bucket() -> None:
    assert (
        airflow_home(Settings(lake=LakeSettings(root="gs://bucket/lake")))
        == SCRIPT.parents[1] / "lake" / "airflow"
    )


def test_a_folder_is_held_only_as_long_as_needed(tmp_path: Path) -> None:
    running = pytest.raises(AirflowError, match="Another `make up` runs in")
    with exclusive_lock(tmp_path), running, exclusive_lock(tmp_path):
        pass
    with exclusive_lock(tmp_path):
        pass


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.mark.browser
def test_the_printed_address_of_mlflow_leads_to_the_trainings_with_their_scores_and_floors(
    site: Site, browser: Browser
) -> None:
    address = next(line.split()[1] for line in site.printed.splitlines() if line.startswith("MLflow"))
    browser.open(address, "titler", "Titler's training runs", "Sort: titles/rougeL")


@pytest.mark.browser
def test_the_experiment_opens_on_its_trainings_with_what_they_learned_from(
    site: Site, browser: Browser
) -> None:
    page = browser.open(
        f"{site.mlflow}/experiments/1?workflowType=machine_learning",
        "Run Name",
        "Titler's training runs",
        "2024-01-01 to 2024-01-01",
    )
    assert "second" in page


@pytest.mark.browser
def test_a_run_says_how_good_it_is_and_what_it_learned_from(site: Site, browser: Browser) -> None:
    browser.open(
        f"{site.mlflow}/experiments/1/runs/{site.runs['second']}",
        *(
            "titler train second",
            "ROUGE-L ",
            "its floor of ",
            "Trained on ",
            "titles/rougeL",
            "titles/floor_rougeL",
        ),
        *("R@10 ", "retrieval/floor_recall_at_10", "Confidence: ", "Limits.", "usage/train_peak_mib"),
    )


@pytest.mark.browser
def test_the_figures_and_curves_of_a_run_stand_in_groups(site: Site, browser: Browser) -> None:
    groups = ("retrieval\n(", "titles\n(", "titles_confidence\n(", "train\n(", "usage\n(", "validation\n(")
    browser.open(f"{site.mlflow}/experiments/1/runs/{site.runs['second']}/model-metrics", *groups)


@pytest.mark.browser
def test_the_picture_of_the_confidence_is_shown_beside_the_other_artifacts(
    site: Site, browser: Browser
) -> None:
    artifacts = f"{site.mlflow}/experiments/1/runs/{site.runs['second']}/artifacts/confidence.png"
    browser.open(artifacts, "batches.json", "days.json", "sample_titles.json", "settings.json", "Path: ")
    shown = "return [...document.images].some(image => image.naturalWidth > 600 && image.complete)"
    browser.settle()
    assert browser.run(shown)


@pytest.mark.browser
def test_two_trainings_can_be_compared_by_titles_and_parameters(site: Site, browser: Browser) -> None:
    runs = ",".join(f"%22{run}%22" for run in site.runs.values())
    browser.open(
        f"{site.mlflow}/compare-runs?runs=[{runs}]&experiments=[%221%22]",
        "Comparing 2 Runs",
        "second",
        "gru_cudnn",
    )


@pytest.mark.browser
def test_the_model_page_says_what_it_is_and_which_version_is_champion(site: Site, browser: Browser) -> None:
    browser.open(
        f"{site.mlflow}/models/titler", "Predicts the title of a GitHub issue", "champion", "Version 2"
    )


@pytest.mark.browser
def test_a_version_shows_its_card(site: Site, browser: Browser) -> None:
    browser.open(f"{site.mlflow}/models/titler/versions/2", "ROUGE-L ", "its floor of ", "Trained on ")


@pytest.mark.browser
def test_airflow_is_healthy_in_all_its_parts(site: Site, browser: Browser) -> None:
    browser.open(f"{site.served.address}/", "Triggerer", "Scheduler", "Dag Processor")
    health = site.served.get("monitor/health")
    assert [part for part, found in health.items() if found["status"] != "healthy"] == []


@pytest.mark.browser
def test_the_list_of_dags_tells_what_each_is_for(site: Site, browser: Browser) -> None:
    browser.open(
        f"{site.served.address}/dags",
        "titler_ingest",
        "1 daily: issues in",
        "2 weekly: a model",
        "3 nightly: a release",
    )


@pytest.mark.browser
def test_a_dag_page_shows_its_tasks_in_a_grid(site: Site, browser: Browser) -> None:
    browser.open(f"{site.served.address}/dags/titler_ingest", "wait", "extract", "clean")


@pytest.mark.browser
def test_a_task_log_ends_with_what_the_verb_did(site: Site, browser: Browser) -> None:
    address = f"{site.served.address}/dags/titler_ingest/runs/{DAY_RUN}/tasks/extract"
    command = "titler extract --fail-if-missing --day 2024-01-01"
    browser.open(address, command, "extract: 80 rows", "Command exited with return code 0")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("zone", "moment"),
    [("America/New_York", "2024-01-02 05:00 UTC"), ("Asia/Shanghai", "2024-01-01 16:00 UTC")],
)
def test_the_form_of_a_backfill_gives_days_in_utc_or_says_how_to(
    site: Site, browser: Browser, zone: str, moment: str
) -> None:
    dag_page = f"{site.served.address}/dags/titler_ingest"
    days = {"2024/01/02": "Jan 02, 2024", "2024/01/04": "Jan 04, 2024"}
    backfill_form.fill(browser, dag_page, days, zone, chosen=zone)
    browser.wait_for(
        f"from_date is {moment}, but titler_ingest ingests whole days in UTC.",
        "Choose UTC as the time zone in Airflow's menu",
    )
    backfill_form.fill(browser, dag_page, days, zone, chosen="UTC")
    browser.wait_for("3 runs will be triggered.")


class Experiments(BaseHTTPRequestHandler):
    """An MLflow that has the experiment `titler`, with the id 7, and no other."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path.endswith("get-by-name?experiment_name=titler") else 404)
        self.end_headers()
        self.wfile.write(b'{"experiment": {"experiment_id": "7"}}')

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing."""


def test_the_address_of_mlflow_leads_to_the_trainings_once_there_are_any() -> None:
    with serving(HTTPServer((LOOPBACK, 0), Experiments)) as server:
        address = f"http://{LOOPBACK}:{server.server_port}"
        assert [mlflow_page(address, name).removeprefix(address) for name in ("titler", "other")] == [
            "/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=titler",
            "/#/experiments?workflowType=machine_learning",
        ]
