"""Sixty real days backfilled by a real scheduler, whose tasks are killed at random and which is lost once itself, with all it runs."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_airflow import COMPONENTS, LocalAirflow
from pipeline.contracts import ISSUES, TOKENS
from pipeline.lake.batches import Lake
from tests.support import fates, killer, postgres
from tests.support.readme import SMALL
from tests.support.replay import replay
from tests.support.tables import differences, ingested

pytestmark = pytest.mark.timeout(1800)  # its fixture runs more than two hundred tasks

ROOT = Path(__file__).resolve().parents[2]
FIRST = date(2019, 11, 1)
DAYS = [str(FIRST + timedelta(days=number)) for number in range(60)]
LAST = date.fromisoformat(DAYS[-1])
NIGHT = DAYS[30]  # ingested before the backfill comes
TWICE = DAYS[:2]  # asked for again, to be reprocessed
SPAN = ("--from", DAYS[0], "--to", DAYS[-1])
PARALLELISM = 4
PATIENCE = 1200  # seconds for what is under way
QUICK = {  # what production waits minutes for
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}


def drawn() -> dict[str, tuple[str, int, str]]:
    """Who is killed in which attempt of which task, and when. Two of a task's four attempts at most: a lost scheduler may take a third."""
    dice = random.Random(60)
    tasks = [(verb, day) for verb in ("extract", "clean") for day in DAYS if day != NIGHT]
    deaths = [*["verb"] * 10, *["task"] * 6, *["supervisor"] * 2, *["all"] * 2]
    found = {}
    for victims, (verb, day) in zip(deaths, dice.sample(tasks, len(deaths)), strict=True):
        for attempt in range(1, 1 + dice.choice((1, 1, 2))):
            moment = dice.choice(killer.MOMENTS if 0 in fates.VICTIMS[victims] else ("before", "after"))
            found[f"{verb} {day} {attempt}"] = (victims, dice.randint(1, 4), moment)
    return found


@dataclass
class Backfill:
    """What was seen of it. `tries` are those of each `VERB DAY`; `lost` are attempts, `VERB DAY NUMBER`, that ended with the scheduler."""

    lake: Lake
    quiet: Lake
    tries: dict[str, int]
    states: Counter[tuple[str, str]]
    met: list[str]
    lost: list[str]
    moved: set[str]
    release: str = ""
    runs: list[list[tuple[str, str, str]]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def note(self, airflow: LocalAirflow) -> None:
        """Keeps the runs as they are now, and how many batches there are."""
        self.runs.append(runs(airflow))
        self.batches.append(manifests(self.lake))


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replay(tmp_path_factory.mktemp("hours"), FIRST, LAST)


@pytest.fixture(scope="module")
def backfill(hours: Path, tmp_path_factory: pytest.TempPathFactory) -> Backfill:
    """By Airflow: a night, the backfill under fire, two backfills more, of days that are there.

    Between them, while Airflow comes to call one completed, a release; and the same days by a quiet run, in one process a verb.
    """
    programs = postgres.programs()
    if (
        programs is None
    ):  # on SQLite `airflow backfill create` of so many days finds "database is locked" now and then
        pytest.skip(postgres.MISSING)
    folder = tmp_path_factory.mktemp("backfill")
    quiet, lake = Lake(str(folder / "quiet")), Lake(str(folder / "lake"))
    stand_in = folder / "bin" / "titler"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/bash\nexec {sys.executable} -m tests.support.fates "$@"\n')
    stand_in.chmod(0o755)
    (folder / "fates").write_text(json.dumps(drawn()))
    environment = {
        **SMALL,
        **QUICK,
        "FATES": str(folder / "fates"),
        "PATH": f"{stand_in.parent}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "TITLER_LAKE__ROOT": lake.root,
        "TITLER_SOURCE__HOURS": str(hours),
    }
    with (
        postgres.running(programs) as database,
        LocalAirflow(folder / "airflow", environment, database=database) as airflow,
    ):
        airflow.run(
            "dags",
            "trigger",
            "titler_ingest",
            "--run-id",
            "night",
            "--logical-date",
            f"{NIGHT}T00:00:00+00:00",
        )
        until(airflow, lambda: left(airflow) == 0)
        night = pointers(lake, NIGHT)
        create(airflow, DAYS)
        until(airflow, lambda: left(airflow) < len(DAYS) * 2 // 3)
        lost = lose_the_scheduler(airflow)
        until(airflow, lambda: left(airflow) == 0)
        found = Backfill(
            lake=lake,
            quiet=quiet,
            tries={
                f"{task['task_id']} {task['logical_date'][:10]}": task["try_number"]
                for task in tasks(airflow)
            },
            states=Counter((task["task_id"], task["state"]) for task in tasks(airflow)),
            met=(folder / "fates.met").read_text().splitlines(),
            lost=lost,
            moved={table for table, batch in pointers(lake, NIGHT).items() if batch != night[table]},
        )
        found.release = titler(airflow.environment, "run", "--day", NIGHT)
        again(airflow, found, DAYS)
        for verb in ("extract", "clean"):
            titler({**airflow.environment, "TITLER_LAKE__ROOT": quiet.root}, verb, *SPAN)
        again(airflow, found, TWICE, "--reprocess-behavior", "completed")
        found.note(airflow)
    return found


def again(airflow: LocalAirflow, found: Backfill, days: list[str], *options: str) -> None:
    """Another backfill, to its end, once Airflow takes one: it looks every half a minute whether the one before is completed."""
    found.note(airflow)
    until(
        airflow,
        lambda: all(
            one["completed_at"] for one in airflow.get("backfills?dag_id=titler_ingest")["backfills"]
        ),
    )
    create(airflow, days, *options)
    until(airflow, lambda: left(airflow) == 0)


def titler(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def create(airflow: LocalAirflow, days: list[str], *options: str) -> None:
    span = ("--from-date", days[0], "--to-date", days[-1])
    airflow.run("backfill", "create", "--dag-id", "titler_ingest", *span, "--max-active-runs", "6", *options)


def until(airflow: LocalAirflow, done: Callable[[], bool]) -> None:
    for _ in range(PATIENCE):
        airflow.check()
        if done():
            return
        time.sleep(1)
    raise AssertionError(f"not done after {PATIENCE} s: {airflow.home}")


def left(airflow: LocalAirflow) -> int:
    return int(airflow.get("dags/titler_ingest/dagRuns?state=queued&state=running&limit=1")["total_entries"])


def lose_the_scheduler(airflow: LocalAirflow) -> list[str]:
    """Kills it with all that it runs, as a lost machine does, while a verb is at work; starts another. The attempts that it took along."""
    lost: list[str] = []
    while not lost:
        scheduler = next(one for one in started(airflow) if "scheduler" in one.cmdline())
        for signalled in (signal.SIGSTOP, signal.SIGSTOP):  # once more for what was being started
            send(signalled, scheduler, *scheduler.children(recursive=True))
        family = [scheduler, *scheduler.children(recursive=True)]
        lost = [attempt for one in family if (attempt := attempt_of(one))]
        send(signal.SIGKILL if lost else signal.SIGCONT, *family)
        time.sleep(0.2)
    airflow.start("scheduler", "airflow", *COMPONENTS["scheduler"])
    return sorted(lost)


def started(airflow: LocalAirflow) -> list[psutil.Process]:
    """Airflow's own programs; what these start is not among them."""
    return [one for one in psutil.Process().children() if one in airflow.processes()]


def send(number: int, *processes: psutil.Process) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def attempt_of(process: psutil.Process) -> str:
    """`VERB DAY NUMBER` of a process that is a verb; empty for another one."""
    try:
        number = process.environ().get("TITLER_ALERTS__TASK", "").rpartition("/")[2]
        verb, _, day = " ".join(process.cmdline()).split()[-3:]
    except (psutil.Error, ValueError):  # it has ended
        return ""
    return number and f"{verb} {day} {number}"


def tasks(airflow: LocalAirflow) -> list[dict[str, Any]]:
    """All of the DAG, which come to two of Airflow's pages."""
    path = "dags/titler_ingest/dagRuns/~/taskInstances?order_by=start_date&limit=100"
    return [task for offset in (0, 100) for task in airflow.get(f"{path}&offset={offset}")["task_instances"]]


def runs(airflow: LocalAirflow) -> list[tuple[str, str, str]]:
    """Day, name and start of each run of the DAG, by day."""
    found = airflow.get("dags/titler_ingest/dagRuns?order_by=logical_date&limit=100")["dag_runs"]
    return [(run["logical_date"][:10], run["dag_run_id"], run["start_date"]) for run in found]


def pointers(lake: Lake, day: str) -> dict[str, Any]:
    return {table: lake.get_json(f"{table}/day={day}/current.json") for table in (ISSUES.name, TOKENS.name)}


def manifests(lake: Lake) -> int:
    return sum(
        1 for table in (ISSUES.name, TOKENS.name) for _ in Path(lake.path(table)).rglob("manifest.json")
    )


def test_every_task_of_every_day_succeeds_in_the_end(backfill: Backfill) -> None:
    assert backfill.states == {(task, "success"): len(DAYS) for task in ("wait", "extract", "clean")}
    assert [day for day, _, _ in backfill.runs[0]] == DAYS


def test_tasks_their_verbs_and_their_supervisors_were_killed_at_all_sorts_of_steps(
    backfill: Backfill,
) -> None:
    planned = {f"{fate} {victims}" for fate, (victims, _, _) in drawn().items()}
    assert {line.split()[-1] for line in backfill.met} == set(fates.VICTIMS)
    assert set(backfill.met) <= planned
    assert (
        len(planned) - len(backfill.met) <= PARALLELISM
    )  # what the scheduler took along had no time to meet its fate


def test_a_task_that_was_killed_is_tried_again(backfill: Backfill) -> None:
    killed = [line.split()[:3] for line in backfill.met]
    assert [one for one in killed if backfill.tries[f"{one[0]} {one[1]}"] <= int(one[2])] == []


def test_tasks_that_a_lost_scheduler_took_along_are_tried_again_by_the_next_one(backfill: Backfill) -> None:
    assert backfill.lost
    assert [
        one for one in backfill.lost if backfill.tries[one.rpartition(" ")[0]] <= int(one.split()[2])
    ] == []


def test_the_tables_are_those_of_a_quiet_run(backfill: Backfill) -> None:
    expected = ingested(backfill.quiet)
    assert sorted(expected) == sorted(
        f"{table} {day}" for table in ("issues_v1", "source_health_v1", "tokens_v1") for day in DAYS
    )
    assert differences(ingested(backfill.lake), expected) == set()


def test_a_day_that_a_night_ingested_is_left_alone(backfill: Backfill) -> None:
    assert backfill.moved == set()
    assert [name for day, name, _ in backfill.runs[-1] if day == NIGHT] == ["night"]


def test_the_days_enter_with_the_next_release(backfill: Backfill) -> None:
    assert re.search(
        rf"^plan: release \S+, model \S+, 60 days from {DAYS[0]} to {DAYS[-1]}$", backfill.release, re.M
    )
    assert re.search(r"^publish: release \S+ is current: 1,476 issues of 60 days", backfill.release, re.M)


def test_the_same_backfill_again_runs_nothing(backfill: Backfill) -> None:
    before, again, _ = backfill.runs
    assert again == before


def test_days_that_are_reprocessed_run_again_and_make_nothing_new(backfill: Backfill) -> None:
    _, before, after = backfill.runs
    assert [
        day for (day, _, began), (_, _, earlier) in zip(after, before, strict=True) if began != earlier
    ] == TWICE
    assert len(set(backfill.batches)) == 1
