"""The three DAGs once on a team's server, with the lake in its object store and the warehouse on BigQuery's
emulator; then the same release in the embedded warehouse."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import fsspec
import pytest

from pipeline import sample, settings
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import pinned_names
from pipeline.releases.current import require_current
from pipeline.settings import Settings
from pipeline.warehouse.bigquery import client as google
from tests.support import accepted_titles
from tests.support.compose import PAUSE, ComposeError, Server
from tests.support.emulator import PROJECT, Emulator
from tests.support.lineage_events import LineageEvents
from tests.support.readme import SMALL
from tests.support.republish import republish
from tests.warehouse.events import opened
from tests.warehouse.source import load_day

DAY = date(2024, 1, 1)
ISSUES_PER_DAY = 120
LAKE = "s3://titler/lake"  # of infra/compose.yaml
TASKS = "airflow-scheduler"  # the service in which the tasks run, and people type commands
SMALL_NIGHT = {
    **SMALL,
    "TITLER_INDEX__NEIGHBOURS": "10",  # the emulator is slow to take many rows
    # by hand alone: the clock would ask for yesterday, which the source lacks
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",  # the DAGs do not change
    "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "120",  # seconds to send an event; by default ten
}
MAX_EVENT_CHECKS = 40


@dataclass(frozen=True)
class TeamNight:
    """A server on which one release was published twice: by its Airflow on BigQuery, then in DuckDB.

    `bigquery` and `embedded` are the settings with these warehouses; both name `lake`. `hours` is a folder of
    hour files with the events of the day, which BigQuery had, too. `account` is the file of the credentials
    for BigQuery. Everything else that was written is in the server's folder and in its databases.
    """

    server: Server
    lake: Lake
    hours: Path
    account: Path
    events: LineageEvents
    bigquery: Settings
    embedded: Settings

    @property
    def bucket(self) -> Path:
        """The folder of the lake's bucket."""
        return self.server.home / "volumes" / "minio" / "titler"


@contextmanager
def team_night(home: Path, account: Path, emulator: Emulator) -> Iterator[TeamNight]:
    """Publishes the release from a server in the folder `home`, which runs until the end of the `with` block.

    In the block, this process has the server's credentials of the object store.
    """
    hours = write_hours(home / "hours")
    load_day(emulator, DAY, sorted(hours.glob("*.json.gz")))
    transport = {"type": "file", "log_file_path": str(home / "events.jsonl"), "append": True}
    bigquery = {
        "TITLER_WAREHOUSE__KIND": "bigquery",
        "TITLER_WAREHOUSE__CREDENTIALS_FILE": str(account),
        "TITLER_WAREHOUSE__PROJECT": PROJECT,
        "TITLER_WAREHOUSE__DATASET": "titler",
        "TITLER_WAREHOUSE__ENDPOINT": emulator.endpoint,
        "TITLER_WAREHOUSE__STORAGE_ENDPOINT": emulator.storage_endpoint,
    }
    extra_environment = {
        **SMALL_NIGHT,
        **bigquery,
        "TITLER_LAKE__CACHE": str(home / "cache"),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
    }
    with Server(home, extra_environment) as server, store_credentials(server):
        of_tasks = {
            name: value for name, value in server.environment(TASKS).items() if name.startswith("TITLER_")
        }
        of_laptop = {name: value for name, value in of_tasks.items() if name not in bigquery}
        night = TeamNight(
            server=server,
            lake=Lake(LAKE),
            hours=hours,
            account=account,
            events=LineageEvents(
                home / "events.jsonl",
                {
                    "s3://titler lake/": "lake ",
                    f"bigquery {PROJECT}.titler.": "warehouse ",
                    f"http://{server.hosts['mlflow']}:5000 ": "mlflow ",
                },
            ),
            bigquery=load_settings(of_tasks),
            embedded=load_settings({**of_laptop, "TITLER_SOURCE__HOURS": str(hours)}),
        )
        google.connect(night.bigquery.warehouse).create_dataset("titler")
        run_dags(night)
        republish(night.lake, night.embedded, require_current(night.lake).name)
        yield night


def run_dags(night: TeamNight) -> None:
    """Backfills the day, then triggers a training and a refresh as the button of Airflow's page does."""
    server = night.server
    days = ("--from-date", str(DAY), "--to-date", str(DAY))
    server.run(TASKS, "airflow", "backfill", "create", "--dag-id", "titler_ingest", *days)
    server.finish("titler_ingest")
    server.call_airflow("dags/titler_train/dagRuns", logical_date=None)
    server.finish("titler_train")
    model = pinned_names(night.lake, "models")[-1]
    server.run(TASKS, "titler", "promote", model, *accepted_titles.OPTIONS)
    server.call_airflow("dags/titler_refresh/dagRuns", logical_date=None)
    server.finish("titler_refresh")
    wait_for_event(night.events, "titler_refresh.collect")


def wait_for_event(events: LineageEvents, task: str) -> None:
    """Waits for the event that a task is complete: it is sent after Airflow shows the task's success."""
    for _ in range(MAX_EVENT_CHECKS):
        if task in events.of_kind("COMPLETE"):
            return
        time.sleep(PAUSE)
    raise ComposeError(f"{events.file} has no event that {task} is complete")


def write_hours(folder: Path) -> Path:
    """The sample's, and in one hour an issue without a title, which is malformed wherever it is read."""
    sample.write(folder, days=1, first_day=DAY, issues_per_day=ISSUES_PER_DAY)
    first = min(folder.glob("*.json.gz"))
    untitled = opened(1, event_id="1", at=f"{DAY}T00:30:00Z", title=None)
    first.write_bytes(first.read_bytes() + gzip.compress(json.dumps(untitled).encode() + b"\n"))
    return folder


def load_settings(environment: Mapping[str, str]) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return settings.load()


@contextmanager
def store_credentials(server: Server) -> Iterator[None]:
    """In the `with` block, this process can read and write the server's object store."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment(TASKS).items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        try:
            yield
        finally:
            fsspec.get_filesystem_class("s3").clear_instance_cache()  # instances hold this server's address
