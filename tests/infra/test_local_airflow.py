"""A real Airflow as `make demo` runs it; a shell script replaces `titler`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from demo import DagWatcher, days_in
from local_airflow import AirflowError, LocalAirflow
from tests.support.fake_titler import fake_titler

# The first extraction of one day kills its task's process, like the kernel when memory runs out. `publish`
# leaves a child behind in its own session, as a task's worker processes may.
SCRIPT = """
echo "titler $*" >> "$CALLS"
case "$1 $3" in
  "extract 2015-01-02") mkdir "$CALLS.killed" && kill -KILL $PPID ;;
esac
case "$1" in
  plan) [ -e "$CALLS.published" ] && exit 99 ;;
  publish) touch "$CALLS.published"; setsid sleep 600 </dev/null >/dev/null 2>&1 & ;;
  train) echo "no days to learn from" >&2; exit 1 ;;
esac
exit 0
"""


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A backfill of two days with a killed task, a refresh, a refresh with nothing to do, a failing training.

    Then Airflow is stopped.
    """
    folder = tmp_path_factory.mktemp("airflow")
    environment = {
        "PATH": fake_titler(folder, SCRIPT),
        "CALLS": str(folder / "calls"),
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
    }
    airflow = LocalAirflow(folder / "home", environment)
    seen: dict[str, object] = {}
    with airflow:
        airflow.run(
            "backfill",
            "create",
            "--dag-id",
            "titler_ingest",
            "--from-date",
            "2015-01-01",
            "--to-date",
            "2015-01-02",
        )
        while airflow.get("dags/titler_ingest/dagRuns?state=queued&state=running")["total_entries"]:
            airflow.check()
            time.sleep(0.5)
        for _ in range(2):
            airflow.trigger("titler_refresh")
            DagWatcher(airflow, "titler_refresh").wait_until_done()
        airflow.trigger("titler_train")
        with pytest.raises(AirflowError) as failure:
            DagWatcher(airflow, "titler_train").wait_until_done()
        seen["failure"] = str(failure.value)
        seen["addresses"] = {
            connection.laddr.ip
            for process in airflow.processes()
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        refreshed = airflow.get("dags/titler_refresh/dagRuns/~/taskInstances?order_by=start_date")[
            "task_instances"
        ]
        seen["states"] = [task["state"] for task in refreshed]
    with create_engine(airflow.database).connect() as connection:
        seen["runs"] = connection.scalar(text("SELECT COUNT(*) FROM dag_run"))
    seen["files"] = {path.name: path.read_bytes() for path in airflow.home.rglob("*") if path.is_file()}
    seen["left"] = airflow.processes()
    seen["calls"] = [line.split() for line in (folder / "calls").read_text().splitlines()]
    return seen


def test_a_backfill_ingests_the_first_and_the_last_day_and_retries_a_killed_task(night):
    ingested = sorted(call for call in night["calls"] if call[1] in ("extract", "clean"))
    assert ingested == [
        ["titler", "clean", "--day", "2015-01-01"],
        ["titler", "clean", "--day", "2015-01-02"],
        ["titler", "extract", "--day", "2015-01-01"],
        ["titler", "extract", "--day", "2015-01-02"],
        ["titler", "extract", "--day", "2015-01-02"],
    ]


def test_a_refresh_runs_its_verbs_in_order_on_one_release(night):
    start = next(number for number, call in enumerate(night["calls"]) if call[1] == "plan")
    verbs = night["calls"][start : start + 7]
    assert [call[1] for call in verbs] == [
        "plan",
        "vectorize",
        "embed",
        "predict",
        "index",
        "publish",
        "collect",
    ]
    assert len({call[3] for call in verbs if "--release" in call}) == 1


def test_a_refresh_with_nothing_new_skips_everything(night):
    assert night["states"].count("success") == 7
    assert night["states"].count("skipped") == 7


def test_the_error_names_the_failed_task_and_has_the_end_of_its_log(night):
    assert night["failure"].startswith("titler_train: the task train failed.")
    assert "no days to learn from" in night["failure"]


def test_its_metadata_is_in_its_own_database(night):
    assert night["runs"] == 5
    assert "airflow.db" in night["files"]


def test_airflow_listens_on_loopback_only(night):
    assert night["addresses"] == {"127.0.0.1"}


def test_nothing_that_airflow_started_outlives_it(night):
    assert night["left"] == []


def test_ctrl_c_ends_airflow_and_all_its_processes(tmp_path):
    script = Path(__file__).resolve().parents[2] / "infra" / "local_airflow.py"
    started = subprocess.Popen([sys.executable, script, tmp_path], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline().startswith("Airflow: http://127.0.0.1:")
    running = len(LocalAirflow(tmp_path, {}).processes())
    started.send_signal(2)
    started.wait(timeout=60)
    assert (running >= 3, started.returncode, LocalAirflow(tmp_path, {}).processes()) == (True, 130, [])


def test_the_days_of_a_folder_are_those_of_its_hour_files(tmp_path):
    for name in (
        "2015-01-02-0.json.gz",
        "2015-01-01-23.json.gz",
        "2015-01-01-3.json.gz",
        "notes.json.gz",
        "2015-01-03-1.json",
    ):
        (tmp_path / name).touch()
    assert days_in(tmp_path) == ["2015-01-01", "2015-01-02"]


def test_a_folder_without_hour_files_says_what_was_expected(tmp_path):
    with pytest.raises(AirflowError, match=r"no hour files\. Expected names like 2015-01-01-12\.json\.gz"):
        days_in(tmp_path)
