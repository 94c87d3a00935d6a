"""What a real Airflow with a scheduler does when something goes wrong: it waits, tries again where that can help, tells a person once."""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo import DagWatcher
from local_airflow import AirflowError, LocalAirflow
from tests.support.receivers import Webhook, serving
from tests.support.standin import stand_in

ROOT = Path(__file__).resolve().parents[2]
NIGHT = "2015-01-04T04:00:00+00:00"
PATIENCE = 180  # seconds for a message or a state that is under way

# `alert` is the real one; every other verb succeeds but these:
#   ready    cannot reach the source at first, then says not yet, as long as there is no file `whole`
#   extract  fails at first, as when the source cannot be reached
#   publish  is stopped; in the run `killed` it dies with the task's process, as for want of memory
# What a verb finds in its environment goes into the file `stages`.
STAND_IN = """
if [ "$1" = alert ]; then exec "$PYTHON" -m pipeline.cli "$@"; fi
echo "$1 $TITLER_ALERTS__TASK $TITLER_ALERTS__LINK" >> "$HERE/stages"
case "$TITLER_ALERTS__TASK" in
  */wait/*)
    [ -e "$HERE/asked" ] || { touch "$HERE/asked"; exit 1; }
    [ -e "$HERE/whole" ] || exit 75
    ;;
  */extract/1) exit 1 ;;
  */killed/publish/*) kill -KILL $PPID ;;
  */publish/*) exit 3 ;;
esac
"""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was sent, and what the verbs found, in four runs.

    A day of now, whose source is late, and one of long ago; a refresh of long ago that is stopped, and one of now that is killed.
    """
    folder = tmp_path_factory.mktemp("night")
    with serving(Webhook()) as webhook:
        environment = {
            "PATH": stand_in(folder, STAND_IN),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "HERE": str(folder),
            "TITLER_LAKE__ROOT": str(folder / "lake"),
            "TITLER_ALERTS__KIND": "webhook",
            "TITLER_ALERTS__WEBHOOK_URL": f"{webhook.address}/secret-of-the-channel",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            "AIRFLOW__CORE__DAGS_FOLDER": str(impatient(folder / "dags")),
        }
        with LocalAirflow(folder / "home", environment) as airflow:
            airflow.run(
                "dags",
                "trigger",
                "titler_ingest",
                "--logical-date",
                datetime.now(UTC).isoformat(),
                "--run-id",
                "late",
            )
            airflow.run("dags", "trigger", "titler_ingest", "--logical-date", NIGHT, "--run-id", "long-ago")
            airflow.run("dags", "trigger", "titler_refresh", "--logical-date", NIGHT, "--run-id", "night")
            with pytest.raises(AirflowError, match="the task publish failed"):
                DagWatcher(airflow, "titler_refresh").wait_until_done()
            messages = [webhook.messages.get(timeout=PATIENCE) for _ in range(2)]
            airflow.run("dags", "trigger", "titler_refresh", "--run-id", "killed")
            messages += [webhook.messages.get(timeout=PATIENCE) for _ in range(2)]
            wait_for(airflow, "late/taskInstances/wait", "deferred")
            (folder / "whole").touch()
            ended = {run: wait_for(airflow, run, "success") for run in ("late", "long-ago")}
            days = [event["extra"] for event in airflow.get("assets/events")["asset_events"]]
        messages += webhook.all()
    stages = [line.split() for line in (folder / "stages").read_text().splitlines()]
    return {
        "messages": messages,
        "stages": stages,
        "folder": folder,
        "address": airflow.address,
        "ended": ended,
        "days": days,
    }


def impatient(folder: Path) -> Path:
    """The DAGs, but that a refresh is late at once, and the source of a day is asked every three seconds, whatever hour it is now."""
    folder.mkdir()
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "dags").glob("*.py")}
    for name, before, after in (
        (
            "titler_ingest.py",
            '"max_wait": timedelta(hours=12)',
            '"max_wait": timedelta(days=3), "poll_interval": timedelta(seconds=3)',
        ),
        ("titler_refresh.py", "deadline_after(hours=3)", "deadline_after(seconds=1)"),
    ):
        assert before in texts[name]
        texts[name] = texts[name].replace(before, after)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def wait_for(airflow: LocalAirflow, path: str, state: str) -> dict[str, Any]:
    """A run of titler_ingest, or one of its tasks, as Airflow shows it once it is in this state."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found: dict[str, Any] = airflow.get(f"dags/titler_ingest/dagRuns/{path}")
        if found["state"] == state:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{path} is {found['state']}, expected {state}")


def attempts(night: dict[str, Any], run: str) -> list[str]:
    """VERB/ATTEMPT in the order in which they were typed."""
    return [
        "/".join((verb, attempt.rpartition("/")[2]))
        for verb, attempt, _ in night["stages"]
        if f"/{run}/" in attempt
    ]


def test_a_day_whose_source_is_late_waits_for_it_without_a_slot_and_goes_on(night: dict[str, Any]) -> None:
    stages = attempts(night, "late")
    assert stages[-3:] == ["extract/1", "extract/2", "clean/1"]
    assert stages[:2] == ["ready/1", "ready/1"]


def test_the_asset_says_which_day_came(night: dict[str, Any]) -> None:
    assert {"made by": "titler clean --day 2015-01-04"} in night["days"]
    assert len(night["days"]) == 2


def test_a_day_that_ended_long_ago_is_not_waited_for(night: dict[str, Any]) -> None:
    assert attempts(night, "long-ago") == ["extract/1", "extract/2", "clean/1"]


def test_what_is_stopped_is_not_tried_again_and_what_may_pass_is(night: dict[str, Any]) -> None:
    assert attempts(night, "night")[-1] == "publish/1"
    assert attempts(night, "killed")[-3:] == ["publish/1", "publish/2", "publish/3"]
    assert {run: found["state"] for run, found in night["ended"].items()} == {
        "late": "success",
        "long-ago": "success",
    }


def about(night: dict[str, Any], words: str) -> list[dict[str, Any]]:
    return [message for message in night["messages"] if words in message["what"]]


def test_a_failed_task_is_one_message_with_its_log_and_its_command(night: dict[str, Any]) -> None:
    message, _ = about(night, "has failed")
    assert message["what"] == "titler_refresh: the task publish has failed, attempt 1"
    assert message["link"] == f"{night['address']}/dags/titler_refresh/runs/night/tasks/publish?try_number=1"
    assert re.fullmatch(r"titler publish --release \d{8}T\d{6}Z", message["next"])


def test_a_task_whose_process_was_killed_is_tried_again_and_then_the_same_message(
    night: dict[str, Any],
) -> None:
    _, message = about(night, "has failed")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", message["since"])
    assert message["what"] == "titler_refresh: the task publish has failed, attempt 3"
    assert message["link"] == f"{night['address']}/dags/titler_refresh/runs/killed/tasks/publish?try_number=3"
    assert re.fullmatch(r"titler publish --release \d{8}T\d{6}Z", message["next"])


def test_a_missed_deadline_is_one_message_with_its_run(night: dict[str, Any]) -> None:
    for run, message in zip(("night", "killed"), about(night, "is late"), strict=True):
        assert re.fullmatch(
            r"titler_refresh is late: the run of .+ UTC is running, not done", message["what"]
        )
        assert (message["link"], message["next"]) == (
            f"{night['address']}/dags/titler_refresh/runs/{run}",
            "titler status",
        )


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_has_ended_by_its_deadline_is_not_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    from _alert import late

    monkeypatch.setenv("PATH", stand_in(tmp_path, f"touch {tmp_path}/typed"))
    run = {"dag_id": "titler_refresh", "dag_run_id": "night", "run_after": NIGHT}
    late({"dag_run": {**run, "state": state}})
    assert not (tmp_path / "typed").exists()
    late({"dag_run": {**run, "state": "running"}})
    assert (tmp_path / "typed").exists()


def test_nothing_else_is_sent(night: dict[str, Any]) -> None:
    assert len(night["messages"]) == 4


def test_a_stage_knows_the_attempt_and_the_log_that_its_own_messages_name(night: dict[str, Any]) -> None:
    message, _ = about(night, "has failed")
    stages = [stage for stage in night["stages"] if "/night/" in stage[1]]
    assert [stage[0] for stage in stages] == ["plan", "vectorize", "embed", "predict", "index", "publish"]
    assert stages[5][1:] == ["titler_refresh/night/publish/1", message["link"]]


def test_no_secret_is_in_anything_that_airflow_left_behind(night: dict[str, Any]) -> None:
    files = [path for path in night["folder"].rglob("*") if path.is_file()]
    assert {"airflow.db", "sent.json", "scheduler.log"} <= {path.name for path in files}
    assert [path for path in files if b"secret-of-the-channel" in path.read_bytes()] == []


def test_a_run_that_failed_without_a_task_that_did_is_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from _alert import alert_failure

    monkeypatch.setenv("PATH", stand_in(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/given'))
    alert_failure({"dag": SimpleNamespace(dag_id="titler_refresh"), "run_id": "a+b"})  # type: ignore[typeddict-item]
    assert (tmp_path / "given").read_text().splitlines() == [
        "alert",
        "--what=titler_refresh: the run a+b has failed",
        "--link=http://localhost:8080/dags/titler_refresh/runs/a%2Bb",
        "--dedupe=titler_refresh/a+b/failed",
    ]


def test_a_night_is_due_three_hours_after_it_was_queued(airflow_dags: Any) -> None:
    (due,) = airflow_dags["titler_refresh"].deadline
    assert (due.reference.reference_name, due.interval) == ("DagRunQueuedAtDeadline", timedelta(hours=3))
    assert (due.callback.path, due.callback.executor) == ("_alert.late", "LocalExecutor")


@pytest.mark.parametrize("dag_id", ["titler_ingest", "titler_train", "titler_refresh"])
def test_every_task_tells_when_it_has_failed_for_good(airflow_dags: Any, dag_id: str) -> None:
    dag = airflow_dags[dag_id]
    assert dag.on_failure_callback.__name__ == "alert_failure"
    assert {
        task.task_id: [callback.__name__ for callback in task.on_failure_callback] for task in dag.tasks
    } == {task_id: ["alert_failure"] for task_id in dag.task_ids}


@pytest.mark.parametrize("dag_id", ["titler_ingest", "titler_train", "titler_refresh"])
def test_the_page_of_a_dag_says_what_alerts(airflow_dags: Any, dag_id: str) -> None:
    assert "**Who is alerted:**" in airflow_dags[dag_id].doc_md
