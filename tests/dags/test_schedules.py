"""The schedules in a real Airflow by the clock: yesterday's issues at once, and a release for the day that came."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_airflow import LocalAirflow
from tests.support.standin import stand_in

PATIENCE = 180  # seconds for runs that are under way

# every verb succeeds, but that there is nothing new to plan and nothing to train with
STAND_IN = """
echo "$*" >> "$CALLS"
case "$1" in plan | vocab) exit 99 ;; esac
"""


@pytest.fixture(scope="module")
def first_minutes(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[dict[str, Any]]]:
    """What was typed, and the runs of the refresh, once one has been started by a day that came."""
    folder = tmp_path_factory.mktemp("clock")
    environment = {"PATH": stand_in(folder, STAND_IN), "CALLS": str(folder / "calls")}
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


def test_the_clock_starts_yesterday_whose_source_is_asked_first(
    first_minutes: tuple[list[str], list[dict[str, Any]]],
) -> None:
    day, *_ = days = sorted({call.split()[-1] for call in first_minutes[0] if "--day" in call})
    today = datetime.now(UTC).date()
    assert set(days) <= {
        str(today - timedelta(days=back)) for back in (1, 2)
    }  # midnight may have passed meanwhile
    calls = [call.split()[0] for call in first_minutes[0] if call.endswith(f"--day {day}")]
    assert calls in (["ready", "extract", "clean"], ["extract", "clean"])  # after noon it is not asked


def test_a_release_follows_the_clock_and_the_day_that_came(
    first_minutes: tuple[list[str], list[dict[str, Any]]],
) -> None:
    assert {run["run_type"] for run in first_minutes[1]} == {"asset_triggered", "scheduled"}


def test_a_release_with_nothing_new_ends_with_its_plan(
    first_minutes: tuple[list[str], list[dict[str, Any]]],
) -> None:
    assert {call.split()[0] for call in first_minutes[0] if "--release" in call} == {"plan"}


def test_an_empty_start_wakes_nobody(first_minutes: tuple[list[str], list[dict[str, Any]]]) -> None:
    assert [call for call in first_minutes[0] if call.startswith("alert")] == []
