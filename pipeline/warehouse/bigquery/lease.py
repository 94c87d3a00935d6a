"""Leases (locks that expire) in BigQuery: only one process at a time plans a release, and only one publishes.

BigQuery has no locks, so a lease is a table. Creating a table fails if the table exists, so only one
process succeeds and holds the lease. The holder keeps extending the time at which the table expires. If the
holder is killed, the table expires minutes later. A token in a label of the table identifies the holder.
"""

from __future__ import annotations

import logging
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from google.api_core import exceptions
from google.cloud import bigquery
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from pipeline.errors import TitlerError, WarehouseError
from pipeline.provenance import user_name
from pipeline.warehouse.bigquery.client import REQUEST_TIMEOUT
from pipeline.warehouse.bigquery.errors import translated_errors
from pipeline.warehouse.bigquery.jobs import Jobs
from pipeline.warehouse.protocol import Purpose

TABLE_NAMES: Mapping[Purpose, str] = {"publish": "titler_alone", "plan": "titler_plans"}
"""Never rename these tables: all versions of Titler must use the same leases."""
DURATION = timedelta(minutes=5)  # time until the lease of a killed process expires
TIMEOUT = 480  # seconds to wait for the lease; must be more than DURATION
POLL_INTERVAL = 2  # seconds


@contextmanager
def hold_lease(jobs: Jobs, purpose: Purpose) -> Iterator[None]:
    """Holds the lease (a lock that expires) for `purpose` during a `with` block. Waits while another process
    holds it.

    Raises WarehouseError if another process still holds the lease after TIMEOUT seconds.
    """
    address, token = f"{jobs.dataset}.{TABLE_NAMES[purpose]}", uuid.uuid4().hex
    acquire = Retrying(
        retry=retry_if_result(lambda acquired: not acquired),
        stop=stop_after_delay(TIMEOUT),
        wait=wait_fixed(POLL_INTERVAL),
    )
    try:
        acquire(_acquire, jobs, address, token)
    except RetryError:
        raise WarehouseError(
            f"Cannot {purpose} a release: after {TIMEOUT} seconds, the lock {address} is still held by "
            f"{_holder(jobs, address)}.",
            f"If that process no longer runs, delete the lock: bq rm -f -t {address.replace('.', ':', 1)}; "
            "then run the same command again.",
        ) from None
    released = threading.Event()
    renewal = threading.Thread(target=_renew, args=(jobs, address, token, released), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        released.set()
        renewal.join()
        if _token(jobs, address) == token:
            with translated_errors(jobs.settings, f"releasing {address}"):
                jobs.client.delete_table(address, not_found_ok=True, timeout=REQUEST_TIMEOUT)


def _acquire(jobs: Jobs, address: str, token: str) -> bool:
    """Tries to create the table that stands for the lease. Returns whether this process holds it now."""
    table = bigquery.Table(
        address,
        schema=[
            bigquery.SchemaField(
                "nothing",
                "STRING",
                description="this column is never used, because the table is a lock and has no rows",
            )
        ],
    )
    table.expires = datetime.now(UTC) + DURATION
    table.description = f"{user_name()} on {socket.gethostname()}, titler {jobs.verb}"
    table.labels = {"app": "titler", "holder": token}
    with translated_errors(jobs.settings, f"creating {address}"):
        try:
            jobs.client.create_table(table, timeout=REQUEST_TIMEOUT)
        except exceptions.Conflict:
            # an earlier request of this process may have created the lease, although its answer was lost
            return _token(jobs, address) == token
    return True


def _token(jobs: Jobs, address: str) -> str | None:
    """Returns the token of the process that holds the lease. The token is a label of the lease's table.
    Returns None if the table does not exist."""
    with translated_errors(jobs.settings, f"reading {address}"):
        try:
            return (jobs.client.get_table(address, timeout=REQUEST_TIMEOUT).labels or {}).get("holder")
        except exceptions.NotFound:
            return None


def _renew(jobs: Jobs, address: str, token: str, released: threading.Event) -> None:
    """Extends the time at which the lease expires, again and again, until `released` is set or the lease is
    lost.

    If BigQuery does not answer, logs a warning and tries again before the lease expires.
    """
    while not released.wait(DURATION.total_seconds() / 5):
        try:
            if _token(jobs, address) != token:
                logging.getLogger(__name__).warning(
                    "the lease %s was lost, so another process may plan or publish at the same time", address
                )
                return
            table = bigquery.Table(address)
            table.expires = datetime.now(UTC) + DURATION
            with translated_errors(jobs.settings, f"extending {address}"):
                jobs.client.update_table(table, ["expires"], timeout=REQUEST_TIMEOUT)
        except TitlerError as error:
            logging.getLogger(__name__).warning("%s", error.message)


def _holder(jobs: Jobs, address: str) -> str:
    try:
        return jobs.client.get_table(address, timeout=REQUEST_TIMEOUT).description or "someone"
    except exceptions.GoogleAPICallError:
        return "someone"
