"""The schedules in a real Airflow by the clock: yesterday's issues at once, and a release for the day that came."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_airflow import LocalAirflow

PATIENCE = 180  # seconds for runs that are under way

# every verb succeeds, but that there is nothing new to plan, and no model is trained meanwhile
STAND_IN = """#!/bin/bash
echo "$*" >> "$CALLS"
case "$1" in plan) exit 99 ;; vocab) exit 2 ;; esac
"""


@pytest.fixture(scope="module")
def first_minutes(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[dict[str, Any]]]:
    """What was typed, and the runs of the refresh, once one has been started by a day that came."""
    folder = tmp_path_factory.mktemp("clock")
    titler = folder / "bin" / "titler"
    titler.parent.mkdir()
    titler.write_text(STAND_IN)
    titler.chmod(0o755)
    environment = {"PATH": f"{titler.parent}:{Path(sys.executable).parent}:/usr/bin:/bin", "CALLS": str(folder / "calls")}
    deadline = time.monotonic() + PATIENCE
    with LocalAirflow(folder / "home", environment, clock=True) as airflow:
        while True:
            runs = airflow.get("dags/titler_refresh/dagRuns")["dag_runs"]
            if {"asset_triggered", "scheduled"} <= {run["run_type"] for run in runs if run["state"] == "success"}:
                return (folder / "calls").read_text().splitlines(), runs
            assert time.monotonic() < deadline, runs
            time.sleep(0.5)


def test_the_clock_starts_yesterday_whose_source_is_asked_first(first_minutes: tuple[list[str], list[dict[str, Any]]]) -> None:
    calls = [call for call in first_minutes[0] if "--day" in call]
    today = datetime.now(UTC).date()
    expected = [[f"{verb} --day {today - timedelta(days=back)}" for verb in ("ready", "extract", "clean")] for back in (1, 2)]
    assert calls in (expected[0], expected[0][1:], expected[1], expected[1][1:])  # after noon it is not asked; midnight may have passed


def test_a_release_follows_the_clock_and_the_day_that_came(first_minutes: tuple[list[str], list[dict[str, Any]]]) -> None:
    assert sorted(run["run_type"] for run in first_minutes[1]) == ["asset_triggered", "scheduled"]


def test_a_release_with_nothing_new_ends_with_its_plan(first_minutes: tuple[list[str], list[dict[str, Any]]]) -> None:
    assert {call.split()[0] for call in first_minutes[0] if "--release" in call} == {"plan"}
