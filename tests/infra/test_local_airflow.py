"""A real Airflow with its schedules, as `make up CLOCK=1` runs it; a shell script replaces `titler`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import psutil
import pytest
from sqlalchemy import create_engine, text

from demo import DagWatcher, days_in
from local_airflow import AirflowError, LocalAirflow
from tests.support.fake_titler import fake_titler

PATIENCE = 180  # seconds until the runs of the schedule must be done

# In the runs `first`, `promoted` and `by-hand` there is something to do. In all others, `plan` and `vocab`
# exit with 99, because nothing is new. `publish` leaves a child behind in its own session, as a task's worker
# processes may.
SCRIPT = """
echo "${TITLER_ALERTS__TASK:--} $*" >> "$CALLS"
case "$TITLER_ALERTS__TASK" in
  titler_refresh/first/publish/*) setsid sleep 600 </dev/null >/dev/null 2>&1 & ;;
  titler_train/by-hand/train/*) echo "no days to learn from" >&2; exit 1 ;;
  titler_refresh/first/* | titler_train/promoted/* | titler_train/by-hand/*) ;;
  */plan/* | */vocab/*) exit 99 ;;
esac
exit 0
"""


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """What the schedules start; then, by hand, a refresh, a refresh with nothing to do, a training whose
    model is promoted, and a failing one. Then Airflow is stopped. tests/dags/test_backfill.py has backfills
    and killed tasks.
    """
    folder = tmp_path_factory.mktemp("airflow")
    calls = folder / "calls"
    environment = {"PATH": fake_titler(folder, SCRIPT), "CALLS": str(calls)}
    airflow = LocalAirflow(folder / "home", environment, scheduled=True)
    seen: dict[str, object] = {}
    with airflow:
        seen["scheduled_runs"] = wait_for_the_schedules(airflow)
        seen["scheduled_calls"] = calls_in(calls)
        for run in ("first", "second"):
            airflow.trigger("titler_refresh", run)
            DagWatcher(airflow, "titler_refresh").wait_until_done()
        airflow.trigger("titler_train", "promoted")
        DagWatcher(airflow, "titler_train").wait_until_done()
        seen["started_by_a_promotion"] = wait_for_the_refresh_of(airflow, "titler_champion")
        airflow.trigger("titler_train", "by-hand")
        with pytest.raises(AirflowError) as failure:
            DagWatcher(airflow, "titler_train").wait_until_done()
        seen["failure"] = str(failure.value)
        seen["addresses"] = {
            connection.laddr.ip
            for process in airflow.processes()
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        for run in ("first", "second"):
            tasks = airflow.get(f"dags/titler_refresh/dagRuns/{run}/taskInstances")["task_instances"]
            seen[run] = [task["state"] for task in tasks]
    with create_engine(airflow.database).connect() as connection:
        seen["runs"] = connection.scalar(text("SELECT COUNT(*) FROM dag_run WHERE run_type = 'manual'"))
    seen["files"] = {path.name: path.read_bytes() for path in airflow.home.rglob("*") if path.is_file()}
    seen["left"] = airflow.processes()
    seen["calls"] = calls_in(calls)
    return seen


def wait_for_the_schedules(airflow):
    """Waits until a refresh was started by its schedule and one by a new day; returns all its runs."""
    deadline = time.monotonic() + PATIENCE
    while True:
        runs = airflow.get("dags/titler_refresh/dagRuns")["dag_runs"]
        if {"asset_triggered", "scheduled"} <= {run["run_type"] for run in runs if run["state"] == "success"}:
            return runs
        assert time.monotonic() < deadline, runs
        time.sleep(1)


def wait_for_the_refresh_of(airflow, asset):
    """Waits until an event of this asset has started a refresh, and the refresh is done. Returns its id."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for run in airflow.get("dags/titler_refresh/dagRuns")["dag_runs"]:
            path = f"dags/titler_refresh/dagRuns/{quote(run['dag_run_id'], safe='')}/upstreamAssetEvents"
            if run["state"] == "success" and any(
                event["name"] == asset for event in airflow.get(path)["asset_events"]
            ):
                return run["dag_run_id"]
        time.sleep(1)
    raise AssertionError(f"no refresh was started by {asset}")


def calls_in(file):
    """The attempt (DAG/RUN/TASK/NUMBER), the verb and the options of every call of `titler`."""
    return [line.split() for line in file.read_text().splitlines()]


def test_yesterday_is_ingested_after_a_check_of_its_source(night):
    day, *_ = days = sorted({call[-1] for call in night["scheduled_calls"] if "--day" in call})
    today = datetime.now(UTC).date()
    # Midnight may have passed meanwhile.
    assert set(days) <= {str(today - timedelta(days=back)) for back in (1, 2)}
    assert [call[1] for call in night["scheduled_calls"] if call[-1] == day] in (
        ["ready", "extract", "clean"],
        ["extract", "clean"],
    )  # after noon the source is not checked


def test_the_schedule_and_a_new_day_each_start_a_release(night):
    assert {run["run_type"] for run in night["scheduled_runs"]} == {"asset_triggered", "scheduled"}


def test_a_promotion_starts_a_release(night):
    verbs = [call[1] for call in night["calls"] if call[0].startswith("titler_train/promoted/")]
    assert "promote" in verbs
    started = f"titler_refresh/{night['started_by_a_promotion']}/"
    assert [call[1] for call in night["calls"] if call[0].startswith(started)] == ["plan"]


def test_a_release_with_nothing_new_ends_with_its_plan(night):
    assert {call[1] for call in night["scheduled_calls"] if "--release" in call} == {"plan"}


def test_a_start_with_nothing_new_sends_no_alert(night):
    assert [call for call in night["scheduled_calls"] if call[1] == "alert"] == []


def test_a_refresh_runs_its_verbs_in_order_on_one_release(night):
    verbs = [call[1:] for call in night["calls"] if call[0].startswith("titler_refresh/first/")]
    assert [call[0] for call in verbs] == [
        "plan",
        "vectorize",
        "embed",
        "predict",
        "index",
        "publish",
        "collect",
    ]
    assert len({call[2] for call in verbs if "--release" in call}) == 1


def test_a_refresh_with_nothing_new_skips_everything(night):
    assert (night["first"], night["second"]) == (["success"] * 7, ["skipped"] * 7)


def test_the_error_names_the_failed_task_and_has_the_end_of_its_log(night):
    assert night["failure"].startswith("titler_train: the task train failed.")
    assert "no days to learn from" in night["failure"]


def test_its_metadata_is_in_its_own_database(night):
    assert night["runs"] == 4
    assert "airflow.db" in night["files"]


def test_airflow_listens_on_loopback_only(night):
    assert night["addresses"] == {"127.0.0.1"}


def test_nothing_that_airflow_started_outlives_it(night):
    assert night["left"] == []


def test_the_days_of_a_folder_are_those_of_its_hour_files(tmp_path):
    for name in (
        "2015-01-02-0.json.gz",
        "2015-01-01-23.json.gz",
        "2015-01-01-3.json.gz",
        "notes.json.gz",
        "2015-01-03/2015-01-03-01.json.zst",
        "2015-01-04-1.json.gz.part",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert days_in(tmp_path) == ["2015-01-01", "2015-01-02", "2015-01-03"]


def test_a_folder_without_hour_files_says_what_was_expected(tmp_path):
    with pytest.raises(AirflowError, match=r"no hour files\. Expected names like 2015-01-01-12\.json\.gz"):
        days_in(tmp_path)
