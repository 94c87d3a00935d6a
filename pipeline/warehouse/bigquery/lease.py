"""Mutual exclusion in BigQuery: a table that can be made once, and that its maker keeps from expiring.

BigQuery has no locks, but making a table is one step that fails with a conflict where the table is there. BigQuery removes it once it
has expired, minutes after its holder was killed. A token says whose it is.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from google.api_core import exceptions
from google.cloud import bigquery

from pipeline.errors import TitlerError, WarehouseError
from pipeline.provenance import user_name
from pipeline.warehouse.bigquery import client as google
from pipeline.warehouse.bigquery.jobs import Jobs

NAME = "titler_alone"
LASTS = timedelta(minutes=5)
PATIENCE = 480  # seconds for others: a killed holder's five minutes, and then some
PAUSE = 2  # seconds


@contextmanager
def held(jobs: Jobs) -> Iterator[None]:
    """Holds the lease until the `with` is left. Raises WarehouseError where another holds it for PATIENCE seconds."""
    address, token = f"{jobs.dataset}.{NAME}", uuid.uuid4().hex
    until = time.monotonic() + PATIENCE
    while not _taken(jobs, address, token):
        if time.monotonic() > until:
            raise WarehouseError(
                f"Another process has been planning or publishing for {PATIENCE} seconds: {_holder(jobs, address)} holds {address}.",
                f"Where that process is gone: bq rm -f -t {address.replace('.', ':', 1)}; then run the same command again.",
            )
        time.sleep(PAUSE)
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(jobs, address, token, done), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
        if _owner(jobs, address) == token:
            with google.told(jobs.settings, f"giving up {address}"):
                jobs.client.delete_table(address, not_found_ok=True, timeout=google.REQUEST)


def _taken(jobs: Jobs, address: str, token: str) -> bool:
    """Whether the lease is ours now."""
    table = bigquery.Table(
        address, schema=[bigquery.SchemaField("nothing", "STRING", description="no rows come here")]
    )
    table.expires = datetime.now(UTC) + LASTS
    table.description = f"{user_name()} on {socket.gethostname()}, titler {jobs.verb}"
    table.labels = {"app": "titler", "holder": token}
    with google.told(jobs.settings, f"making {address}"):
        try:
            jobs.client.create_table(table, timeout=google.REQUEST)
        except exceptions.Conflict:
            return _owner(jobs, address) == token  # the answer to our own request may have been lost
    return True


def _owner(jobs: Jobs, address: str) -> str | None:
    """The token of whoever holds the lease."""
    with google.told(jobs.settings, f"looking at {address}"):
        try:
            return (jobs.client.get_table(address, timeout=google.REQUEST).labels or {}).get("holder")
        except exceptions.NotFound:
            return None


def _keep(jobs: Jobs, address: str, token: str, done: threading.Event) -> None:
    """Keeps the lease from expiring; where BigQuery does not answer, the next look is soon enough."""
    while not done.wait(LASTS.total_seconds() / 5):
        try:
            if _owner(jobs, address) != token:
                logging.getLogger(__name__).warning(
                    "%s was lost: another process may publish at the same time", address
                )
                return
            table = bigquery.Table(address)
            table.expires = datetime.now(UTC) + LASTS
            with google.told(jobs.settings, f"keeping {address}"):
                jobs.client.update_table(table, ["expires"], timeout=google.REQUEST)
        except TitlerError as error:
            logging.getLogger(__name__).warning("%s", error.message)


def _holder(jobs: Jobs, address: str) -> str:
    try:
        return jobs.client.get_table(address, timeout=google.REQUEST).description or "someone"
    except exceptions.GoogleAPICallError:
        return "someone"
