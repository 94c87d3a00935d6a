"""What wakes a person, in a real Airflow with a scheduler: a task that fails for good, and a night that is late, each told once."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo import Watch
from local_airflow import AirflowError, LocalAirflow
from tests.receivers import Webhook, serving

ROOT = Path(__file__).resolve().parents[2]
NIGHT = "2015-01-04T04:00:00+00:00"
PATIENCE = 180  # seconds for a message that is under way

# Stages that all succeed but the last, which in the second run dies with the task's process, as for want of memory; `alert` is the
# real one. What a stage finds in its environment goes into a file.
STAND_IN = """#!/bin/bash
if [ "$1" = alert ]; then exec "$PYTHON" -m pipeline.cli "$@"; fi
echo "$1 $TITLER_ALERTS__TASK $TITLER_ALERTS__LINK" >> "$STAGES"
case "$TITLER_ALERTS__TASK" in */killed/publish/*) kill -KILL $PPID ;; esac
[ "$1" != publish ] || exit 3
"""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A refresh of a night long ago, whose `publish` fails, and one of now, where it is killed: what was sent, what the stages found."""
    folder = tmp_path_factory.mktemp("alerts")
    titler = folder / "bin" / "titler"
    titler.parent.mkdir()
    titler.write_text(STAND_IN)
    titler.chmod(0o755)
    with serving(Webhook()) as webhook:
        environment = {
            "PATH": f"{titler.parent}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "STAGES": str(folder / "stages"),
            "TITLER_LAKE__ROOT": str(folder / "lake"),
            "TITLER_ALERTS__KIND": "webhook",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            "TITLER_ALERTS__WEBHOOK_URL": f"{webhook.address}/secret-of-the-channel",
        }
        with LocalAirflow(folder / "home", environment) as airflow:
            airflow.run("dags", "trigger", "titler_refresh", "--logical-date", NIGHT, "--run-id", "night")
            with pytest.raises(AirflowError, match="the task publish failed"):
                Watch(airflow, "titler_refresh").until_done()
            messages = [webhook.messages.get(timeout=PATIENCE) for _ in range(2)]
            airflow.run("dags", "trigger", "titler_refresh", "--run-id", "killed")
            messages.append(webhook.messages.get(timeout=PATIENCE))
        messages += webhook.all()
    stages = [line.split() for line in (folder / "stages").read_text().splitlines()]
    return {"messages": messages, "stages": stages, "folder": folder, "address": airflow.address}


def about(night: dict[str, Any], words: str) -> list[dict[str, Any]]:
    return [message for message in night["messages"] if words in message["what"]]


def test_a_failed_task_is_one_message_with_its_log_and_its_command(night: dict[str, Any]) -> None:
    message, _ = about(night, "has failed")
    assert message["what"] == "titler_refresh: the task publish has failed, attempt 1"
    assert message["link"] == f"{night['address']}/dags/titler_refresh/runs/night/tasks/publish?try_number=1"
    assert re.fullmatch(r"titler publish --release \d{8}T\d{6}Z", message["next"])


def test_a_task_whose_process_was_killed_is_tried_again_and_then_the_same_message(night: dict[str, Any]) -> None:
    _, message = about(night, "has failed")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", message["since"])
    assert message["what"] == "titler_refresh: the task publish has failed, attempt 3"
    assert message["link"] == f"{night['address']}/dags/titler_refresh/runs/killed/tasks/publish?try_number=3"
    assert re.fullmatch(r"titler publish --release \d{8}T\d{6}Z", message["next"])


def test_a_missed_deadline_is_one_message_with_its_run(night: dict[str, Any]) -> None:
    (message,) = about(night, "is late")
    assert message["what"].startswith("titler_refresh is late: the run of ")
    assert (message["link"], message["next"]) == (f"{night['address']}/dags/titler_refresh/runs/night", "titler status")


def test_nothing_else_is_sent(night: dict[str, Any]) -> None:
    assert len(night["messages"]) == 3


def test_a_stage_knows_the_attempt_and_the_log_that_its_own_messages_name(night: dict[str, Any]) -> None:
    message, _ = about(night, "has failed")
    assert [stage[0] for stage in night["stages"][:6]] == ["plan", "vectorize", "embed", "predict", "index", "publish"]
    assert night["stages"][5][1:] == ["titler_refresh/night/publish/1", message["link"]]


def test_no_secret_is_in_anything_that_airflow_left_behind(night: dict[str, Any]) -> None:
    files = [path for path in night["folder"].rglob("*") if path.is_file()]
    assert {"airflow.db", "sent.json", "scheduler.log"} <= {path.name for path in files}
    assert [path for path in files if b"secret-of-the-channel" in path.read_bytes()] == []


def test_a_run_that_failed_without_a_task_that_did_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from _alert import failed

    titler = tmp_path / "titler"
    titler.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > {tmp_path}/given\n')
    titler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    failed({"dag": SimpleNamespace(dag_id="titler_refresh"), "run_id": "a+b"})  # type: ignore[typeddict-item]
    assert (tmp_path / "given").read_text().splitlines() == [
        "alert",
        "--what=titler_refresh: the run a+b has failed",
        "--link=http://localhost:8080/dags/titler_refresh/runs/a%2Bb",
        "--dedupe=titler_refresh/a+b/failed",
    ]


def test_a_night_is_due_three_hours_after_its_time_or_after_it_was_queued(airflow_dags: Any) -> None:
    due = {alert.reference.reference_name: alert for alert in airflow_dags["titler_refresh"].deadline}
    assert sorted(due) == ["DagRunLogicalDateDeadline", "DagRunQueuedAtDeadline"]
    assert {(alert.interval, alert.callback.path, alert.callback.executor) for alert in due.values()} == {
        (timedelta(hours=3), "_alert.late", "LocalExecutor")
    }


@pytest.mark.parametrize("dag_id", ["titler_ingest", "titler_train", "titler_refresh"])
def test_every_task_tells_when_it_has_failed_for_good(airflow_dags: Any, dag_id: str) -> None:
    dag = airflow_dags[dag_id]
    assert dag.on_failure_callback.__name__ == "failed"
    assert {task.task_id: [callback.__name__ for callback in task.on_failure_callback] for task in dag.tasks} == {
        task_id: ["failed"] for task_id in dag.task_ids
    }


@pytest.mark.parametrize("dag_id", ["titler_ingest", "titler_train", "titler_refresh"])
def test_the_page_of_a_dag_says_what_alerts(airflow_dags: Any, dag_id: str) -> None:
    assert "**What alerts.**" in airflow_dags[dag_id].doc_md
