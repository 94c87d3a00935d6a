"""The schedules of a real Airflow: it ingests yesterday at once, then builds a release."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_airflow import LocalAirflow
from tests.support.fake_titler import fake_titler

PATIENCE = 180  # seconds until the runs must be done

# Every verb succeeds; `plan` and `vocab` exit with 99, because nothing is new.
SCRIPT = """
echo "$*" >> "$CALLS"
case "$1" in plan | vocab) exit 99 ;; esac
"""


@pytest.fixture(scope="module")
def first_minutes(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[dict[str, Any]]]:
    """The commands, and the refresh's runs once one was started by its schedule and one by a new day."""
    folder = tmp_path_factory.mktemp("clock")
    environment = {"PATH": fake_titler(folder, SCRIPT), "CALLS": str(folder / "calls")}
    deadline = time.monotonic() + PATIENCE
    with LocalAirflow(folder / "home", environment, scheduled=True) as airflow:
        while True:
            runs = airflow.get("dags/titler_refresh/dagRuns")["dag_runs"]
            if {"asset_triggered", "scheduled"} <= {
                run["run_type"] for run in runs if run["state"] == "success"
            }:
                return (folder / "calls").read_text().splitlines(), runs
            assert time.monotonic() < deadline, runs
            time.sleep(0.5)


def test_yesterday_is_ingested_after_a_check_of_its_source(
    first_minutes: tuple[list[str], list[dict[str, Any]]],
) -> None:
    day, *_ = days = sorted({call.split()[-1] for call in first_minutes[0] if "--day" in call})
    today = datetime.now(UTC).date()
    # Midnight may have passed meanwhile.
    assert set(days) <= {str(today - timedelta(days=back)) for back in (1, 2)}
    calls = [call.split()[0] for call in first_minutes[0] if call.endswith(f"--day {day}")]
    assert calls in (
        ["ready", "extract", "clean"],
        ["extract", "clean"],
    )  # after noon the source is not checked


def test_the_schedule_and_a_new_day_each_start_a_release(
    first_minutes: tuple[list[str], list[dict[str, Any]]],
) -> None:
    assert {run["run_type"] for run in first_minutes[1]} == {"asset_triggered", "scheduled"}


def test_a_release_with_nothing_new_ends_with_its_plan(
    first_minutes: tuple[list[str], list[dict[str, Any]]],
) -> None:
    assert {call.split()[0] for call in first_minutes[0] if "--release" in call} == {"plan"}


def test_a_start_with_nothing_new_sends_no_alert(
    first_minutes: tuple[list[str], list[dict[str, Any]]],
) -> None:
    assert [call for call in first_minutes[0] if call.startswith("alert")] == []
