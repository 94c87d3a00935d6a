"""Mutual exclusion in BigQuery: a table that can be made once, and that its maker keeps from expiring.

BigQuery has no locks, but making a table is one step that fails with a conflict where the table is there. BigQuery removes it once it
has expired, minutes after its holder was killed.
"""

from __future__ import annotations

import getpass
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from google.api_core import exceptions
from google.cloud import bigquery

from pipeline.errors import WarehouseError
from pipeline.warehouse.bigquery import client as google
from pipeline.warehouse.bigquery.jobs import Jobs

NAME = "titler_alone"
LASTS = timedelta(minutes=5)
PATIENCE = 300  # seconds for others
PAUSE = 2  # seconds


@contextmanager
def held(jobs: Jobs) -> Iterator[None]:
    """Holds the lease until the `with` is left. Raises WarehouseError where another holds it for PATIENCE seconds."""
    address = f"{jobs.dataset}.{NAME}"
    until = time.monotonic() + PATIENCE
    while not _taken(jobs, address):
        if time.monotonic() > until:
            raise WarehouseError(
                f"Another process has been planning or publishing for {PATIENCE} seconds: {_holder(jobs.client, address)} holds {address}.",
                f"Where that process is gone: bq rm -f -t {address.replace('.', ':', 1)}; then run the same command again.",
            )
        time.sleep(PAUSE)
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(jobs.client, address, done), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
        with google.told(jobs.settings, f"giving up {address}"):
            jobs.client.delete_table(address, not_found_ok=True)


def _taken(jobs: Jobs, address: str) -> bool:
    """Whether the lease is ours now."""
    table = bigquery.Table(address, schema=[bigquery.SchemaField("nothing", "STRING")])
    table.expires = datetime.now(UTC) + LASTS
    table.description = f"{getpass.getuser()} on {socket.gethostname()}, titler {jobs.verb}"
    with google.told(jobs.settings, f"making {address}"):
        try:
            jobs.client.create_table(table)
        except exceptions.Conflict:
            return False
    return True


def _keep(client: bigquery.Client, address: str, done: threading.Event) -> None:
    while not done.wait(LASTS.total_seconds() / 5):
        table = bigquery.Table(address)
        table.expires = datetime.now(UTC) + LASTS
        client.update_table(table, ["expires"])


def _holder(client: bigquery.Client, address: str) -> str:
    try:
        return client.get_table(address).description or "someone"
    except exceptions.GoogleAPICallError:
        return "someone"
