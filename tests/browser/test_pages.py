"""The pages that a newcomer opens, in a real browser, over what the whole job left behind: a lake, its
MLflow, its Airflow."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from mlflow import MlflowClient

from browser import Browser
from demo import DagWatcher
from local_airflow import LOOPBACK, LocalAirflow, free_port
from pipeline.cli import app
from pipeline.sample import write

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
UP = Path(__file__).resolve().parents[2] / "infra" / "up.py"
DAY_RUN = "backfill__2024-01-02T00:00:00+00:00"  # of 2024-01-01: Airflow names a run by the end of its day
SMALL = {
    "TITLER_TEXT__SUBWORDS": "600",
    "TITLER_TEXT__BODY_UNITS": "64",
    "TITLER_MODEL__HIDDEN_SIZE": "16",
    "TITLER_MODEL__EMBEDDING_SIZE": "16",
    "TITLER_MODEL__CONTRAST_EPOCHS": "1",
    "TITLER_MODEL__EPOCHS": "1",
    "TITLER_MODEL__BATCH_SIZE": "256",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Addresses of both, where `make up` serves a lake with two trainings and an ingested day."""
    folder = tmp_path_factory.mktemp("pages")
    lake = folder / "lake"
    settings = {**SMALL, "TITLER_LAKE__ROOT": str(lake), "TITLER_SOURCE__HOURS": str(folder / "hours")}
    environment = {**os.environ, **settings}
    write(folder / "hours", days=1, issues_per_day=80)
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
    airflow, mlflow = free_port(), free_port()
    up = [sys.executable, str(UP), "--airflow-port", str(airflow), "--mlflow-port", str(mlflow)]
    started = subprocess.Popen(up, env=environment, stdout=subprocess.PIPE, text=True, process_group=0)
    assert started.stdout is not None
    try:
        told = ""
        while "Press Ctrl-C" not in told and (line := started.stdout.readline()):
            told += line
        served = LocalAirflow(lake / "airflow", {}, airflow)
        served.run(
            "backfill",
            "create",
            "--dag-id",
            "titler_ingest",
            "--from-date",
            "2024-01-01",
            "--to-date",
            "2024-01-01",
        )
        DagWatcher(served, "titler_ingest").wait_until_done()
        runs = MlflowClient(f"sqlite:///{lake}/mlflow.db").search_runs(["1"])
        yield {
            "health": served.get("monitor/health"),
            "airflow": f"http://{LOOPBACK}:{airflow}",
            "mlflow": f"http://{LOOPBACK}:{mlflow}/#",
            "told": told,
            "runs": {run.info.run_name: run.info.run_id for run in runs},
        }
    finally:
        os.killpg(started.pid, signal.SIGINT)
        started.stdout.read()
        started.wait()


@pytest.fixture(scope="module")
def browser(site):
    with Browser() as browser:
        yield browser


def test_the_printed_address_of_mlflow_leads_to_the_trainings_with_their_scores_and_floors(site, browser):
    address = next(line.split()[1] for line in site["told"].splitlines() if line.startswith("MLflow"))
    browser.open(address, "titler", "Titler's training runs", "Sort: titles/rougeL")


def test_the_experiment_opens_on_its_trainings_with_what_they_learned_from(site, browser):
    page = browser.open(
        f"{site['mlflow']}/experiments/1?workflowType=machine_learning",
        "Run Name",
        "Titler's training runs",
        "2024-01-01 to 2024-01-01",
    )
    assert "second" in page


def test_a_run_says_how_good_it_is_and_what_it_learned_from(site, browser):
    browser.open(
        f"{site['mlflow']}/experiments/1/runs/{site['runs']['second']}",
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


def test_the_figures_and_curves_of_a_run_stand_in_groups(site, browser):
    groups = ("retrieval\n(", "titles\n(", "titles_confidence\n(", "train\n(", "usage\n(", "validation\n(")
    browser.open(f"{site['mlflow']}/experiments/1/runs/{site['runs']['second']}/model-metrics", *groups)


def test_the_picture_of_the_confidence_is_shown_beside_the_other_artifacts(site, browser):
    artifacts = f"{site['mlflow']}/experiments/1/runs/{site['runs']['second']}/artifacts/confidence.png"
    browser.open(artifacts, "batches.json", "days.json", "sample_titles.json", "settings.json", "Path: ")
    shown = "return [...document.images].some(image => image.naturalWidth > 600 && image.complete)"
    browser.settle()
    assert browser.run(shown)


def test_two_trainings_can_be_compared_by_titles_and_parameters(site, browser):
    runs = ",".join(f"%22{run}%22" for run in site["runs"].values())
    browser.open(
        f"{site['mlflow']}/compare-runs?runs=[{runs}]&experiments=[%221%22]",
        "Comparing 2 Runs",
        "second",
        "gru_cudnn",
    )


def test_the_model_page_says_what_it_is_and_which_version_is_champion(site, browser):
    browser.open(
        f"{site['mlflow']}/models/titler", "Predicts the title of a GitHub issue", "champion", "Version 2"
    )


def test_a_version_shows_its_card(site, browser):
    browser.open(f"{site['mlflow']}/models/titler/versions/2", "ROUGE-L ", "its floor of ", "Trained on ")


def test_airflow_is_healthy_in_all_its_parts(site, browser):
    browser.open(f"{site['airflow']}/", "Triggerer", "Scheduler", "Dag Processor")
    assert [part for part, found in site["health"].items() if found["status"] != "healthy"] == []


def test_the_list_of_dags_tells_what_each_is_for(site, browser):
    browser.open(
        f"{site['airflow']}/dags",
        "titler_ingest",
        "1 daily: issues in",
        "2 weekly: a model",
        "3 nightly: a release",
    )


def test_a_dag_page_shows_its_tasks_in_a_grid(site, browser):
    browser.open(f"{site['airflow']}/dags/titler_ingest", "wait", "extract", "clean")


def test_a_task_log_ends_with_what_the_verb_did(site, browser):
    address = f"{site['airflow']}/dags/titler_ingest/runs/{DAY_RUN}/tasks/extract"
    command = "titler extract --fail-if-missing --day 2024-01-01"
    browser.open(address, command, "extract: 80 rows", "Command exited with return code 0")
