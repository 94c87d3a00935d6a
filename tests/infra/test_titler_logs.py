"""A task's log in a bucket: found by Airflow's own loaders, written where it is read from, whole when a
deferred task goes on elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fsspec

from tests.infra.lint import INFRA
from titler_logs import Bucket

LOADED = """
from airflow.logging_config import get_remote_task_log
from airflow.sdk.log import load_remote_log_handler
for handler in (get_remote_task_log(), load_remote_log_handler()):
    print(type(handler).__name__, getattr(handler, "base", ""))
"""
PATH = "dag_id=titler_train/run_id=manual/task_id=train/attempt=1.log"


def loaded(home: Path, **more: str) -> list[str]:
    """What Airflow and its task SDK take for the remote log."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(INFRA / "task_logs"),
        "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "titler_logs.LOGGING_CONFIG",
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-2:]


def bucket(folder: Path, **options: bool):
    return Bucket("memory://logs/airflow", folder, **options)


def write(folder: Path, text: str) -> None:
    (folder / PATH).parent.mkdir(parents=True, exist_ok=True)
    (folder / PATH).write_text(text)


def test_airflow_and_its_tasks_find_it(tmp_path):
    assert (
        loaded(tmp_path, AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER=f"file://{tmp_path}/bucket")
        == [f"Bucket file://{tmp_path}/bucket"] * 2
    )


def test_without_a_folder_there_is_none(tmp_path):
    assert loaded(tmp_path) == ["NoneType ", "NoneType "]


def test_a_log_is_read_where_it_was_written(tmp_path):
    logs = bucket(tmp_path)
    write(tmp_path, "epoch 1\n")
    logs.upload(PATH)
    assert logs.read(PATH) == ([f"memory://logs/airflow/{PATH}"], ["epoch 1\n"])
    logs.upload(tmp_path / PATH)  # the same once more, by its absolute path
    assert logs.read(PATH)[1] == ["epoch 1\n"]
    fsspec.filesystem("memory").rm("/logs", recursive=True)


def test_a_deferred_task_that_goes_on_in_another_pod_keeps_its_beginning(tmp_path):
    for pod, text in (("first", "asked again in five minutes\n"), ("second", "the hour is there\n")):
        write(tmp_path / pod, text)
        bucket(tmp_path / pod, keep_local=False).upload(PATH)
        assert not (tmp_path / pod / PATH).exists()
    assert bucket(tmp_path).read(PATH)[1] == ["asked again in five minutes\nthe hour is there\n"]
    fsspec.filesystem("memory").rm("/logs", recursive=True)


def test_a_log_that_is_not_there_yet_says_why(tmp_path):
    told, log = bucket(tmp_path).read(PATH)
    assert log is None
    assert told[0].endswith(
        "does not exist: the task is running, or its pod ended before the log was stored."
    )
