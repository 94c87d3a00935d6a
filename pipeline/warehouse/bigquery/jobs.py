"""BigQuery's jobs: a dry run and a reservation before each query, names by which a retried task finds its job, waiting."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery.job import LoadJob, QueryJob

from pipeline.errors import TitlerError, WarehouseError
from pipeline.progress import say
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery import client as google
from pipeline.warehouse.bigquery.ledger import Ledger, Reservation
from pipeline.warehouse.price import priced, usd

ANSWER = 60  # seconds for BigQuery to say that it has begun
ATTEMPTS = 5  # names that a job of one kind may have: one for each time that it failed
TRANSIENT = ("backendError", "internalError", "jobBackendError", "jobInternalError", "rateLimitExceeded", "jobRateLimitExceeded")
_TYPES = ((bool, "BOOL"), (int, "INT64"), (float, "FLOAT64"), (str, "STRING"), (datetime, "TIMESTAMP"), (date, "DATE"))


@dataclass(frozen=True)
class Statement:
    """SQL with the values of its `@named` parameters. `doing` completes "BigQuery failed while ...": reading a day, checking."""

    doing: str
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Paid:
    """A query's finished job and what it cost, in bytes."""

    job: QueryJob
    estimated: int
    billed: int

    def cost(self, settings: Settings) -> dict[str, Any]:
        """As a manifest records it."""
        return {
            "job_id": self.job.job_id,
            "bytes_estimated": self.estimated,
            "bytes_billed": self.billed,
            "usd": round(usd(settings, self.billed), 6),
        }


def fingerprint(*parts: Any) -> str:
    """16 hex digits that stand for these values."""
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:16]


class Jobs:
    """Jobs of one command in one data set."""

    def __init__(self, settings: Settings, verb: str, run: str) -> None:
        self.settings = settings
        self.verb = verb
        self.client = google.connect(settings)
        self.ledger = Ledger(settings, verb, run, self._unpaid)
        self.release_id: str | None = None

    @property
    def dataset(self) -> str:
        return f"{self.settings.project}.{self.settings.dataset}"

    def estimate(self, statement: Statement) -> int:
        """Bytes that a query would have billed: a dry run, which is free."""
        with google.told(self.settings, f"estimating the cost of {statement.doing}"):
            config = self._config(statement.parameters, None)
            config.dry_run = True
            config.use_query_cache = False
            job = self.client.query(statement.sql, job_config=config, job_retry=None, timeout=ANSWER)
            return int(job.total_bytes_processed or 0)

    def query(self, statement: Statement, source_day: date | None = None) -> Paid:
        """Runs a query, within the budgets. Raises BudgetError before it runs, or as `told`."""
        name = self._name(uuid.uuid4().hex)
        reservation = self._reserve(name, statement.doing, self.estimate(statement), source_day)
        try:
            job = self._start(name, statement, source_day, reservation.left)
            self._wait(job, statement.doing)
        except google.UnansweredError:
            raise  # it may be running: what was reserved counts
        except TitlerError:
            self.ledger.settle(reservation, 0)
            raise
        paid = _paid(job, reservation.bytes)
        self.ledger.settle(reservation, paid.billed)
        return paid

    def define(self, doing: str, sql: str) -> None:
        """Runs DDL, which reads no rows and costs nothing."""
        self._wait(self._start(self._name(uuid.uuid4().hex), Statement(doing, sql), None, 1), doing)

    def query_once(self, key: str, statement: Statement, source_day: date) -> Paid:
        """Runs a query as the job that `key` names. One that is running or has finished is waited for instead, and paid for once."""
        reservation: Reservation | None = None

        def start(name: str) -> QueryJob:
            nonlocal reservation
            reservation = self._reserve(name, statement.doing, self.estimate(statement), source_day)
            return self._start(name, statement, source_day, reservation.left)

        try:
            job = self._once(self._name(key), statement.doing, start, self._has_rows)
        except google.UnansweredError:
            raise
        except TitlerError:
            if reservation is not None:
                self.ledger.settle(reservation, 0)
            raise
        if reservation is None:  # who started it keeps account
            return _paid(job, int(job.total_bytes_processed or 0))
        paid = _paid(job, reservation.bytes)
        self.ledger.settle(reservation, paid.billed)
        return paid

    def load_once(self, key: str, doing: str, start: Callable[[str], LoadJob]) -> None:
        """As `query_once`, for a job that loads a file; loading is free."""
        self._once(self._name(key), doing, start, lambda job: True)

    def rows(self, paid: Paid) -> list[dict[str, Any]]:
        """The rows of a small result."""
        with google.told(self.settings, "reading a result"):
            return [dict(row) for row in paid.job.result(job_retry=None, timeout=self.settings.timeout)]

    def labels(self, source_day: date | None = None) -> dict[str, str]:
        """Of a job: who asked, for what. Lower case, as labels have to be."""
        labels = {"app": "titler", "verb": self.verb}
        if source_day:
            labels["day"] = source_day.isoformat()
        if self.release_id:
            labels["release"] = re.sub(r"[^a-z0-9_-]", "_", self.release_id.lower())[:63]
        return labels

    def _name(self, key: str) -> str:
        return f"titler_{self.verb}_{key}"

    def _unpaid(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The ledger's own statements."""
        with google.told(self.settings, "keeping account of what is spent"):
            job = self.client.query(sql, job_config=self._config(parameters, None), job_retry=None, timeout=ANSWER)
        self._wait(job, "keeping account of what is spent")
        return self.rows(Paid(job, 0, 0)) if job.statement_type == "SELECT" else []

    def _reserve(self, name: str, doing: str, count: int, source_day: date | None) -> Reservation:
        say(f"    BigQuery: {doing}: {priced(self.settings, count)}")
        return self.ledger.reserve(name, count, source_day, self.release_id)

    def _start(self, name: str, statement: Statement, source_day: date | None, left: int) -> QueryJob:
        config = self._config(statement.parameters, source_day)
        config.maximum_bytes_billed = max(left, 1)
        with google.told(self.settings, statement.doing):
            try:
                return self.client.query(statement.sql, job_id=name, job_config=config, job_retry=None, timeout=ANSWER)
            except exceptions.Conflict:  # it got there, though the answer did not come back
                job = self.client.get_job(name, location=self.settings.location)
                assert isinstance(job, QueryJob)
                return job

    def _config(self, parameters: Mapping[str, Any], source_day: date | None) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(query_parameters=[_parameter(name, value) for name, value in parameters.items()])
        config.labels = self.labels(source_day)
        return config

    def _once(self, name: str, doing: str, start: Callable[[str], Any], usable: Callable[[Any], bool]) -> Any:
        """The job called `name`, or after failures `name_1`, `name_2` ...: found, or started. Waits until it has finished."""
        for attempt in range(ATTEMPTS):
            current = f"{name}_{attempt}" if attempt else name
            job = self._find(current)
            found = job is not None
            if job is None:
                job = start(current)
            try:
                self._wait(job, doing)
            except google.UnansweredError:
                raise
            except TitlerError:
                if found or self._reason(job) in TRANSIENT:  # its name is used up
                    continue
                raise
            if usable(job):
                return job
        raise WarehouseError(f"BigQuery failed {ATTEMPTS} times while {doing}; the last job is {current}.", google.DOCTOR)

    def _find(self, name: str) -> Any:
        with google.told(self.settings, f"looking for the job {name}"):
            try:
                job = self.client.get_job(name, location=self.settings.location)
                assert isinstance(job, QueryJob)
                return job
            except exceptions.NotFound:
                return None

    def _wait(self, job: Any, doing: str) -> None:
        """Until the job has finished. Raises WarehouseError, BudgetError where it failed."""
        with google.told(self.settings, doing):
            try:
                if job.state == "DONE":  # as it came back; asking again would only take time
                    if error := job.exception():
                        raise error
                elif isinstance(job, QueryJob):
                    job.result(max_results=0, job_retry=None, timeout=self.settings.timeout)
                else:
                    job.result(timeout=self.settings.timeout)
            except concurrent.futures.TimeoutError:
                raise google.UnansweredError(
                    f"BigQuery's job {job.job_id} has been running for more than warehouse.timeout = {self.settings.timeout} s: {doing}.",
                    f"It goes on. {google.AGAIN}",
                ) from None

    def _has_rows(self, job: QueryJob) -> bool:
        """Whether the result is still there: BigQuery keeps it for a day."""
        try:
            self.client.get_table(job.destination)
        except exceptions.NotFound:
            return False
        return True

    @staticmethod
    def _reason(job: Any) -> str:
        return str((job.error_result or {}).get("reason", ""))


def _paid(job: QueryJob, estimated: int) -> Paid:
    billed = job.total_bytes_billed
    return Paid(job, estimated, estimated if billed is None else int(billed))


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple, set, frozenset)):
        return bigquery.ArrayQueryParameter(name, "STRING", sorted(value))
    kind = next(kind for python, kind in _TYPES if isinstance(value, python))
    return bigquery.ScalarQueryParameter(name, kind, value)
