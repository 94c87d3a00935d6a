"""The documented backfill covers exactly its days, whatever time zone Airflow is configured for. A form whose
days are not days in UTC is refused."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("dags/titler_ingest.py", "README.md", "docs/operations.md", "infra/README.md")

# Prints the days that Airflow's backfill runs for the arguments of `airflow`.
DAYS = """
import json, sys
from pathlib import Path
from airflow.cli.cli_parser import get_parser
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.models.backfill import _get_info_list
from airflow.serialization.serialized_objects import DagSerialization

folder = sys.argv.pop(1)
ingest = BundleDagBag(dag_folder=folder, bundle_path=Path(folder), bundle_name="dags").dags["titler_ingest"]
dag = DagSerialization.from_dict(DagSerialization.to_dict(ingest))
shown = []
for command in json.loads(sys.argv[1]):
    options = get_parser().parse_args(command)
    bounds = {"from_date": options.from_date, "to_date": options.to_date}
    runs = _get_info_list(**bounds, reverse=False, dag=dag)
    shown.append([run.logical_date.isoformat() for run in runs])
print(json.dumps(shown))
"""


def documented_backfills() -> list[list[str]]:
    """The arguments of every `airflow backfill create` on the pages."""
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    return [shlex.split(command) for command in re.findall(r"airflow (backfill create --dag-id .+)", text)]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai"])
def test_a_documented_backfill_covers_its_first_and_its_last_day_in_utc(tmp_path: Path, zone: str) -> None:
    backfills = documented_backfills()
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": zone,
        "PYTHONPATH": str(ROOT / "dags"),
    }
    done = subprocess.run(
        [sys.executable, "-c", DAYS, str(ROOT / "dags"), json.dumps(backfills)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    typed = [
        (words[words.index("--from-date") + 1], words[words.index("--to-date") + 1]) for words in backfills
    ]
    covered = [(days[0], days[-1]) for days in json.loads(done.stdout.splitlines()[-1])]
    assert len(backfills) == 6
    assert covered == [
        tuple(bound.replace("T00Z", "T00:00:00+00:00") for bound in bounds) for bounds in typed
    ]


INGEST = {"dag_id": "titler_ingest"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (INGEST | {"from_date": "2024-01-02T05:00:00.000Z"}, "from_date is 2024-01-02 05:00 UTC"),
        (INGEST | {"to_date": "2024-01-02T00:00:00+08:00"}, "to_date is 2024-01-01 16:00 UTC"),
        (INGEST | {"to_date": "2024-01-02T00:00:01Z"}, "to_date is 2024-01-02 00:00 UTC"),
        (INGEST | {"from_date": "2024-01-02T00:00:00Z", "to_date": "2024-01-04T00:00:00Z"}, ""),
        (INGEST | {"from_date": "2024-01-01T19:00:00-05:00"}, ""),
        (INGEST | {"from_date": "2024-01-02"}, ""),  # Airflow takes it as midnight UTC
        (INGEST | {"from_date": None, "to_date": "tomorrow"}, ""),
        (INGEST | {"from_date": "0001-01-01T00:00:00+05:00"}, ""),  # in UTC, the year would be 0
        ({"dag_id": "another", "from_date": "2024-01-02T05:00:00Z"}, ""),
        (["titler_ingest"], ""),
    ],
)
def test_a_backfill_whose_days_are_not_days_in_utc_is_refused(content: object, reason: str) -> None:
    from titler_backfills import refusal

    assert refusal(content).startswith(reason and f"{reason}, but titler_ingest ingests whole days in UTC.")
    assert bool(refusal(content)) == bool(reason)


def send_request(*messages: dict[str, Any], path: str = "/api/v2/backfills") -> tuple[list[int], list[Any]]:
    """Sends a request to the middleware. Returns the status, and what the application behind it received."""
    from titler_backfills import MidnightUtc

    statuses, received, unsent = [], [], list(messages)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        received.extend([await receive() for _ in messages])
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> dict[str, Any]:
        return unsent.pop(0)

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    asyncio.run(MidnightUtc(application)({"type": "http", "method": "POST", "path": path}, receive, send))
    return statuses, received


def body(content: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


REFUSED = json.dumps(INGEST | {"from_date": "2024-01-02T05:00:00Z"}).encode()


def test_a_refused_backfill_does_not_reach_airflow_even_if_it_is_sent_in_parts() -> None:
    assert send_request(body(REFUSED[:9], more=True), body(REFUSED[9:])) == ([400], [])
    assert send_request(body(REFUSED), path="/base/api/v2/backfills/dry_run") == ([400], [])


@pytest.mark.parametrize(
    "messages",
    [
        [body(b'{"dag_id": ', more=True), body(b'"another"}')],
        [body(b"no JSON")],
        [body(b"[" * 100_000)],
        [body(REFUSED[:9], more=True), {"type": "http.disconnect"}],
    ],
    ids=["another DAG", "no JSON", "too deep", "disconnected"],
)
def test_airflow_receives_every_other_request_as_it_was_sent(messages: list[dict[str, Any]]) -> None:
    assert send_request(*messages) == ([200], messages)


def test_other_paths_are_not_read() -> None:
    assert send_request(body(REFUSED), path="/api/v2/dags") == ([200], [body(REFUSED)])
