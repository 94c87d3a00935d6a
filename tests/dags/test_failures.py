"""Failures in a real Airflow with a scheduler: it waits, retries if that can help, and sends one alert."""

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
from tests.support.fake_titler import fake_titler
from tests.support.receivers import Webhook, serving

ROOT = Path(__file__).resolve().parents[2]
NIGHT = "2015-01-04T04:00:00+00:00"
NIGHT_BEFORE = "2015-01-03T04:00:00+00:00"
PATIENCE = 180  # seconds until a message or a state must be there

# `alert` is the real verb. Every other verb succeeds, except:
#   ready    fails once, as if the source could not be reached; then exits with 75, "not yet", until the file
#            `complete` exists
#   extract  in the run `no-source` exits with 3, as if the source had no readable data for the day; otherwise
#            fails in its first attempt. Then, in the run `late`, exits once with 4, "the budget is spent"
#   plan     in the run `killed` kills the task's process, like the kernel when memory runs out
#   publish  exits with 3, "stopped"
# The file `stages` gets the verb, the attempt and the link of every call.
SCRIPT = """
if [ "$1" = alert ]; then exec "$PYTHON" -m pipeline.cli "$@"; fi
echo "$1 $TITLER_ALERTS__TASK $TITLER_ALERTS__LINK" >> "$HERE/stages"
case "$TITLER_ALERTS__TASK" in
  */wait/*)
    [ -e "$HERE/checked" ] || { touch "$HERE/checked"; exit 1; }
    [ -e "$HERE/complete" ] || exit 75
    ;;
  */no-source/extract/*) exit 3 ;;
  */extract/1) exit 1 ;;
  */late/extract/2) [ -e "$HERE/deferred" ] || { touch "$HERE/deferred"; exit 4; } ;;
  */killed/plan/*) kill -KILL $PPID ;;
  */publish/*) exit 3 ;;
esac
"""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The messages and the calls of four runs.

    Today's ingestion, whose source is late, and one of an old day; a refresh that is stopped, and one whose
    task is killed.
    """
    folder = tmp_path_factory.mktemp("night")
    with serving(Webhook()) as webhook:
        environment = {
            "PATH": fake_titler(folder, SCRIPT),
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
            airflow.trigger("titler_ingest", "late", datetime.now(UTC).isoformat())
            airflow.trigger("titler_ingest", "long-ago", NIGHT)
            airflow.trigger("titler_refresh", "night", NIGHT)
            with pytest.raises(AirflowError, match="the task publish failed"):
                DagWatcher(airflow, "titler_refresh").wait_until_done()
            messages = [webhook.messages.get(timeout=PATIENCE) for _ in range(2)]
            airflow.trigger("titler_refresh", "killed")
            messages += [webhook.messages.get(timeout=PATIENCE) for _ in range(2)]
            wait_for(airflow, "late/taskInstances/wait", "deferred")
            (folder / "complete").touch()
            ended = {run: wait_for(airflow, run, "success") for run in ("late", "long-ago")}
            airflow.trigger("titler_ingest", "no-source", NIGHT_BEFORE)
            ended["no-source"] = wait_for(airflow, "no-source", "failed")
            tasks = airflow.get("dags/titler_ingest/dagRuns/no-source/taskInstances")["task_instances"]
            no_source = webhook.messages.get(timeout=PATIENCE)
            days = [event["extra"] for event in airflow.get("assets/events")["asset_events"]]
        messages += webhook.all()
    stages = [line.split() for line in (folder / "stages").read_text().splitlines()]
    return {
        "messages": messages,
        "no_source": no_source,
        "no_source_tasks": {task["task_id"]: task["state"] for task in tasks},
        "stages": stages,
        "folder": folder,
        "address": airflow.address,
        "ended": ended,
        "days": days,
    }


def impatient(folder: Path) -> Path:
    """Copies of the DAGs: a refresh is late after a second, the source is checked every eight seconds, and
    the next UTC day begins at once."""
    folder.mkdir()
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "dags").glob("*.py")}
    for name, before, after in (
        (
            "titler_ingest.py",
            '"max_wait": timedelta(hours=12)',
            '"max_wait": timedelta(days=3), "poll_interval": timedelta(seconds=8)',
        ),
        ("titler_refresh.py", "deadline_after(hours=3)", "deadline_after(seconds=1)"),
        (
            "_titler_task.py",
            "next_budget(datetime.now(UTC), is_backfill)",
            "datetime.now(UTC) + timedelta(seconds=1)",
        ),
    ):
        assert before in texts[name]
        texts[name] = texts[name].replace(before, after)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def wait_for(airflow: LocalAirflow, path: str, state: str) -> dict[str, Any]:
    """Waits until a run of titler_ingest, or one of its tasks, is in this state; returns it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        shown: dict[str, Any] = airflow.get(f"dags/titler_ingest/dagRuns/{path}")
        if shown["state"] == state:
            return shown
        time.sleep(1)
    raise AssertionError(f"{path} is {shown['state']}, expected {state}")


def attempts(night: dict[str, Any], run: str) -> list[str]:
    """VERB/ATTEMPT of every call, in order."""
    return [
        "/".join((verb, attempt.rpartition("/")[2]))
        for verb, attempt, _ in night["stages"]
        if f"/{run}/" in attempt
    ]


def test_a_task_whose_source_is_late_waits_without_a_slot_and_continues(night: dict[str, Any]) -> None:
    stages = attempts(night, "late")
    assert stages[-4:] == ["extract/1", "extract/2", "extract/2", "clean/1"]
    assert stages[:2] == ["ready/1", "ready/1"]


def test_a_task_whose_budget_is_spent_continues_on_the_next_utc_day_in_the_same_attempt(
    night: dict[str, Any],
) -> None:
    from _titler_task import next_budget

    assert attempts(night, "late").count("extract/2") == 2
    assert (night["folder"] / "deferred").exists()
    evening = datetime(2015, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert next_budget(evening, is_backfill=False) == datetime(2015, 2, 1, 0, 1, tzinfo=UTC)
    assert next_budget(evening, is_backfill=True) == datetime(2015, 2, 1, 12, 1, tzinfo=UTC)


def test_the_asset_event_names_the_day(night: dict[str, Any]) -> None:
    assert {"made by": "titler clean --day 2015-01-04"} in night["days"]
    assert len(night["days"]) == 2


def test_the_source_of_an_old_day_is_not_checked(night: dict[str, Any]) -> None:
    assert attempts(night, "long-ago") == ["extract/1", "extract/2", "clean/1"]


def test_a_stopped_verb_is_not_retried_and_a_killed_one_is(night: dict[str, Any]) -> None:
    assert attempts(night, "night")[-1] == "publish/1"
    assert attempts(night, "killed") == ["plan/1", "plan/2", "plan/3"]
    assert {run: ended["state"] for run, ended in night["ended"].items()} == {
        "late": "success",
        "long-ago": "success",
        "no-source": "failed",
    }


def test_a_day_that_the_source_does_not_have_is_a_failed_run_that_is_not_retried(
    night: dict[str, Any],
) -> None:
    assert attempts(night, "no-source") == ["extract/1"]
    assert night["no_source_tasks"] == {"wait": "success", "extract": "failed", "clean": "upstream_failed"}
    assert night["no_source"]["next"] == "titler extract --fail-if-missing --day 2015-01-03"


def about(night: dict[str, Any], words: str) -> list[dict[str, Any]]:
    return [message for message in night["messages"] if words in message["what"]]


def test_a_failed_task_is_one_message_with_its_log_and_its_command(night: dict[str, Any]) -> None:
    message, _ = about(night, "has failed")
    assert message["what"] == "titler_refresh: the task publish has failed, attempt 1"
    assert message["link"] == f"{night['address']}/dags/titler_refresh/runs/night/tasks/publish?try_number=1"
    assert re.fullmatch(r"titler publish --release \d{8}T\d{6}Z", message["next"])


def test_a_killed_task_is_alerted_after_its_last_retry(
    night: dict[str, Any],
) -> None:
    _, message = about(night, "has failed")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", message["since"])
    assert message["what"] == "titler_refresh: the task plan has failed, attempt 3"
    assert message["link"] == f"{night['address']}/dags/titler_refresh/runs/killed/tasks/plan?try_number=3"
    assert re.fullmatch(r"titler plan --release \d{8}T\d{6}Z --skip-code 99", message["next"])


def test_a_missed_deadline_is_one_message_with_its_run(night: dict[str, Any]) -> None:
    for run, message in zip(("night", "killed"), about(night, "is late"), strict=True):
        assert re.fullmatch(
            r"titler_refresh is late: the run of .+ UTC is (queued|running), not done", message["what"]
        )
        assert (message["link"], message["next"]) == (
            f"{night['address']}/dags/titler_refresh/runs/{run}",
            "titler status",
        )


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_has_ended_by_its_deadline_is_not_alerted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    from _alert import late

    monkeypatch.setenv("PATH", fake_titler(tmp_path, f"touch {tmp_path}/called"))
    run = {"dag_id": "titler_refresh", "dag_run_id": "night", "run_after": NIGHT}
    late({"dag_run": {**run, "state": state}})
    assert not (tmp_path / "called").exists()
    late({"dag_run": {**run, "state": "running"}})
    assert (tmp_path / "called").exists()


def test_no_other_message_is_sent(night: dict[str, Any]) -> None:
    assert len(night["messages"]) == 4


def test_a_stage_gets_its_attempt_and_the_link_to_its_log(night: dict[str, Any]) -> None:
    message, _ = about(night, "has failed")
    stages = [stage for stage in night["stages"] if "/night/" in stage[1]]
    assert [stage[0] for stage in stages] == ["plan", "vectorize", "embed", "predict", "index", "publish"]
    assert stages[5][1:] == ["titler_refresh/night/publish/1", message["link"]]


def test_no_file_of_airflow_has_the_secret(night: dict[str, Any]) -> None:
    files = [path for path in night["folder"].rglob("*") if path.is_file()]
    assert {"airflow.db", "sent.json", "scheduler.log"} <= {path.name for path in files}
    assert [path for path in files if b"secret-of-the-channel" in path.read_bytes()] == []


def test_a_run_that_failed_without_a_failed_task_is_alerted_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from _alert import alert_failure

    monkeypatch.setenv("PATH", fake_titler(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/arguments'))
    alert_failure({"dag": SimpleNamespace(dag_id="titler_refresh"), "run_id": "a+b"})  # type: ignore[typeddict-item]
    assert (tmp_path / "arguments").read_text().splitlines() == [
        "alert",
        "--what=titler_refresh: the run a+b has failed",
        "--link=http://localhost:8080/dags/titler_refresh/runs/a%2Bb",
        "--dedupe=titler_refresh/a+b/failed",
    ]


def test_a_refresh_is_due_three_hours_after_it_was_queued(airflow_dags: Any) -> None:
    (due,) = airflow_dags["titler_refresh"].deadline
    assert (due.reference.reference_name, due.interval) == ("DagRunQueuedAtDeadline", timedelta(hours=3))
    assert (due.callback.path, due.callback.executor) == ("_alert.late", "LocalExecutor")


@pytest.mark.parametrize("dag_id", ["titler_ingest", "titler_train", "titler_refresh"])
def test_every_task_alerts_after_its_last_failure(airflow_dags: Any, dag_id: str) -> None:
    dag = airflow_dags[dag_id]
    assert dag.on_failure_callback.__name__ == "alert_failure"
    assert {
        task.task_id: [callback.__name__ for callback in task.on_failure_callback] for task in dag.tasks
    } == {task_id: ["alert_failure"] for task_id in dag.task_ids}


@pytest.mark.parametrize("dag_id", ["titler_ingest", "titler_train", "titler_refresh"])
def test_the_page_of_a_dag_says_who_is_alerted(airflow_dags: Any, dag_id: str) -> None:
    assert "**Who is alerted:**" in airflow_dags[dag_id].doc_md
