"""A backfill of four real days by a real Airflow on PostgreSQL, in which processes are killed.

Tasks are killed at random steps, and the scheduler once, together with everything that it runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
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
from sqlalchemy import make_url

from local_airflow import COMPONENTS, LocalAirflow
from pipeline.contracts import ISSUES, TOKENS
from pipeline.lake.batches import Lake
from tests.support import kill_at_step, planned_kills, postgres
from tests.support.fake_titler import fake_titler
from tests.support.readme import SMALL
from tests.support.replay import replay
from tests.support.tables import differences, ingested

pytestmark = pytest.mark.timeout(1800)  # its fixture runs about twenty tasks

ROOT = Path(__file__).resolve().parents[2]
FIRST = date(2019, 11, 1)
DAYS = [str(FIRST + timedelta(days=number)) for number in range(4)]
LAST = date.fromisoformat(DAYS[-1])
NIGHT = DAYS[2]  # ingested before the backfill
REPROCESSED = DAYS[:1]
SPAN = ("--from", DAYS[0], "--to", DAYS[-1])
PARALLELISM = 4
PATIENCE = 1200  # seconds until Airflow must be done
QUICK = {  # seconds; Airflow's defaults are minutes
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}


def plan_kills() -> dict[str, tuple[str, int, str]]:
    """The victims, step and moment of each attempt `VERB DAY NUMBER` in which something is killed.

    At most two of a task's four attempts: the loss of the scheduler may take a third.
    """
    dice = random.Random(20)
    tasks = [(verb, day) for verb in ("extract", "clean") for day in DAYS if day != NIGHT]
    kills = {}
    for victims, (verb, day) in zip(
        planned_kills.VICTIMS, dice.sample(tasks, len(planned_kills.VICTIMS)), strict=True
    ):
        dies_itself = 0 in planned_kills.VICTIMS[victims]
        for attempt in range(1, 1 + dice.choice((1, 1, 2))):
            moment = dice.choice(kill_at_step.MOMENTS if dies_itself else ("before", "after"))
            kills[f"{verb} {day} {attempt}"] = (victims, dice.randint(1, 4), moment)
    return kills


@dataclass
class Backfill:
    """What happened.

    `tries` is the number of attempts per `VERB DAY`. `kills` are lines `VERB DAY NUMBER VICTIMS`. `lost` are
    the attempts, `VERB DAY NUMBER`, that ended with the scheduler. `changed` are the tables of which the day
    NIGHT has another batch than before the backfill. `files_with_the_password` are those of Airflow's files
    that contain the password of its database.
    """

    lake: Lake
    quiet: Lake
    tries: dict[str, int]
    states: Counter[tuple[str, str]]
    kills: list[str]
    lost: list[str]
    changed: set[str]
    files_with_the_password: list[str]
    runs: list[list[tuple[str, str, str]]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def record(self, airflow: LocalAirflow) -> None:
        """Appends the runs as they are now, and the number of batches."""
        self.runs.append(runs(airflow))
        self.batches.append(manifests(self.lake))


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replay(tmp_path_factory.mktemp("hours"), FIRST, LAST)


@pytest.fixture(scope="module")
def backfill(hours: Path, tmp_path_factory: pytest.TempPathFactory) -> Backfill:
    """In Airflow: one day, the backfill with its kills, the same backfill again, a day reprocessed.

    Airflow takes half a minute to mark a backfill as completed. Meanwhile the same days are ingested into a
    second lake by one undisturbed process per verb.
    """
    programs = postgres.programs()
    if programs is None:
        # On SQLite, `airflow backfill create` of many days sometimes fails: "database is locked".
        pytest.skip(postgres.MISSING)
    folder = tmp_path_factory.mktemp("backfill")
    quiet, lake = Lake(str(folder / "quiet")), Lake(str(folder / "lake"))
    script = f'exec {sys.executable} -m tests.support.planned_kills "$@"\n'
    (folder / "kills").write_text(json.dumps(plan_kills()))
    environment = {
        **SMALL,
        **QUICK,
        "PLANNED_KILLS": str(folder / "kills"),
        "PATH": fake_titler(folder, script),
        "PYTHONPATH": str(ROOT),
        "TITLER_LAKE__ROOT": lake.root,
        "TITLER_SOURCE__HOURS": str(hours),
    }
    with (
        postgres.running(programs) as database,
        LocalAirflow(folder / "airflow", environment, database=database) as airflow,
    ):
        airflow.trigger("titler_ingest", "night", f"{NIGHT}T00:00:00+00:00")
        wait_until(airflow, lambda: unfinished_runs(airflow) == 0)
        night = pointers(lake, NIGHT)
        create(airflow, DAYS)
        wait_until(airflow, lambda: unfinished_runs(airflow) < len(DAYS) - 1)
        lost = lose_the_scheduler(airflow)
        wait_until(airflow, lambda: unfinished_runs(airflow) == 0)
        result = Backfill(
            lake=lake,
            quiet=quiet,
            tries={
                f"{task['task_id']} {task['logical_date'][:10]}": task["try_number"]
                for task in tasks(airflow)
            },
            states=Counter((task["task_id"], task["state"]) for task in tasks(airflow)),
            kills=(folder / "kills.done").read_text().splitlines(),
            lost=lost,
            changed={table for table, batch in pointers(lake, NIGHT).items() if batch != night[table]},
            files_with_the_password=files_with(str(make_url(database).password), airflow.home),
        )
        backfill_again(airflow, result, DAYS)
        for verb in ("extract", "clean"):
            titler({**airflow.environment, "TITLER_LAKE__ROOT": quiet.root}, verb, *SPAN)
        backfill_again(airflow, result, REPROCESSED, "--reprocess-behavior", "completed")
        result.record(airflow)
    return result


def files_with(secret: str, folder: Path) -> list[str]:
    """The names of the files in a folder that contain a text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if secret.encode() in path.read_bytes()]


def backfill_again(airflow: LocalAirflow, result: Backfill, days: list[str], *options: str) -> None:
    """Records the state, then runs another backfill to its end.

    Airflow refuses one until the one before is marked as completed; it checks that every half a minute.
    """
    result.record(airflow)
    wait_until(
        airflow,
        lambda: all(
            backfill["completed_at"]
            for backfill in airflow.get("backfills?dag_id=titler_ingest")["backfills"]
        ),
    )
    create(airflow, days, *options)
    wait_until(airflow, lambda: unfinished_runs(airflow) == 0)


def titler(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=True
    )


def create(airflow: LocalAirflow, days: list[str], *options: str) -> None:
    span = ("--from-date", days[0], "--to-date", days[-1])
    airflow.run("backfill", "create", "--dag-id", "titler_ingest", *span, "--max-active-runs", "6", *options)


def wait_until(airflow: LocalAirflow, done: Callable[[], bool]) -> None:
    for _ in range(PATIENCE):
        airflow.check()
        if done():
            return
        time.sleep(1)
    raise AssertionError(f"not done after {PATIENCE} s: {airflow.home}")


def unfinished_runs(airflow: LocalAirflow) -> int:
    return int(airflow.get("dags/titler_ingest/dagRuns?state=queued&state=running&limit=1")["total_entries"])


def lose_the_scheduler(airflow: LocalAirflow) -> list[str]:
    """Kills the scheduler and all its descendants while a verb runs, like a lost machine; starts another.

    Returns the attempts `VERB DAY NUMBER` that were killed with it.
    """
    lost: list[str] = []
    while not lost:
        scheduler = next(process for process in components(airflow) if "scheduler" in process.cmdline())
        for _ in range(2):  # the second time for processes that were started during the first
            send(signal.SIGSTOP, scheduler, *scheduler.children(recursive=True))
        family = [scheduler, *scheduler.children(recursive=True)]
        lost = [attempt for process in family if (attempt := attempt_of(process))]
        send(signal.SIGKILL if lost else signal.SIGCONT, *family)
        time.sleep(0.2)
    airflow.start("scheduler", "airflow", *COMPONENTS["scheduler"])
    return sorted(lost)


def components(airflow: LocalAirflow) -> list[psutil.Process]:
    """Airflow's own programs, without the processes that these have started."""
    return [process for process in psutil.Process().children() if process in airflow.processes()]


def send(number: int, *processes: psutil.Process) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def attempt_of(process: psutil.Process) -> str:
    """`VERB DAY NUMBER` of a process that runs a verb; empty for any other process."""
    try:
        _, _, verb, number = process.environ()["TITLER_ALERTS__TASK"].split("/")
        return f"{verb} {process.cmdline()[-1].split()[-1]} {number}"
    except (psutil.Error, LookupError):  # it has ended, or runs no verb
        return ""


def tasks(airflow: LocalAirflow) -> list[dict[str, Any]]:
    """All task instances of the DAG."""
    path = "dags/titler_ingest/dagRuns/~/taskInstances?order_by=start_date&limit=100"
    instances: list[dict[str, Any]] = airflow.get(path)["task_instances"]
    return instances


def runs(airflow: LocalAirflow) -> list[tuple[str, str, str]]:
    """Day, name and start of each run of the DAG, by day."""
    dag_runs = airflow.get("dags/titler_ingest/dagRuns?order_by=logical_date&limit=100")["dag_runs"]
    return [(run["logical_date"][:10], run["dag_run_id"], run["start_date"]) for run in dag_runs]


def pointers(lake: Lake, day: str) -> dict[str, Any]:
    return {
        table: json.loads(lake.get(f"{table}/day={day}/current.json") or b"")
        for table in (ISSUES.name, TOKENS.name)
    }


def manifests(lake: Lake) -> int:
    return sum(
        1 for table in (ISSUES.name, TOKENS.name) for _ in Path(lake.path(table)).rglob("manifest.json")
    )


def test_every_task_of_every_day_succeeds_in_the_end(backfill: Backfill) -> None:
    assert backfill.states == {(task, "success"): len(DAYS) for task in ("wait", "extract", "clean")}
    assert [day for day, _, _ in backfill.runs[0]] == DAYS


def test_only_the_configuration_has_the_databases_password(backfill: Backfill) -> None:
    assert backfill.files_with_the_password == ["airflow.cfg"]


def test_verbs_tasks_and_supervisors_were_killed_as_planned(backfill: Backfill) -> None:
    planned = {f"{attempt} {victims}" for attempt, (victims, _, _) in plan_kills().items()}
    assert {line.split()[-1] for line in backfill.kills} == set(planned_kills.VICTIMS)
    assert set(backfill.kills) <= planned
    # An attempt that ended with the scheduler may not have reached its planned step.
    assert len(planned) - len(backfill.kills) <= PARALLELISM


def test_a_killed_task_is_retried(backfill: Backfill) -> None:
    killed = [line.split()[:3] for line in backfill.kills]
    not_retried = [
        (verb, day, number) for verb, day, number in killed if backfill.tries[f"{verb} {day}"] <= int(number)
    ]
    assert not_retried == []


def test_the_next_scheduler_retries_the_tasks_that_ended_with_the_lost_one(backfill: Backfill) -> None:
    assert backfill.lost
    not_retried = [
        attempt
        for attempt in backfill.lost
        if backfill.tries[attempt.rpartition(" ")[0]] <= int(attempt.split()[2])
    ]
    assert not_retried == []


def test_the_tables_equal_those_of_an_undisturbed_run(backfill: Backfill) -> None:
    expected = ingested(backfill.quiet)
    assert sorted(expected) == sorted(
        f"{table} {day}" for table in ("issues_v1", "source_health_v1", "tokens_v1") for day in DAYS
    )
    assert differences(ingested(backfill.lake), expected) == set()


def test_a_day_that_was_ingested_before_is_not_ingested_again(backfill: Backfill) -> None:
    assert backfill.changed == set()
    assert [name for day, name, _ in backfill.runs[-1] if day == NIGHT] == ["night"]


def test_the_same_backfill_again_runs_nothing(backfill: Backfill) -> None:
    before, after, _ = backfill.runs
    assert after == before


def test_reprocessed_days_run_again_and_write_no_new_batch(backfill: Backfill) -> None:
    _, before, after = backfill.runs
    assert [
        day for (day, _, began), (_, _, earlier) in zip(after, before, strict=True) if began != earlier
    ] == REPROCESSED
    assert len(set(backfill.batches)) == 1
