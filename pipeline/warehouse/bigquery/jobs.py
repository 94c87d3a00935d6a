"""BigQuery's jobs: a dry run and a reservation before each query, names by which a retried task finds its job, waiting."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery.job import LoadJob, QueryJob

from pipeline.errors import TitlerError
from pipeline.progress import say
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery import client as google
from pipeline.warehouse.bigquery.ledger import Ledger, Reservation
from pipeline.warehouse.price import priced, usd

ATTEMPTS = 5  # jobs begun for one statement that fails for a moment
LONGEST_PAUSE = 5  # seconds between two looks at a running job
MIB = 2**20
MINIMUM = 10 * MIB  # bytes billed a table
LEDGER_BYTES = 10**9  # that a statement of the ledger may bill
_TYPES = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (str, "STRING"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
)


@dataclass(frozen=True)
class Statement:
    """SQL with the values of its `@named` parameters. `doing` completes "BigQuery failed while ...": reading a day, checking.

    `at_least` are bytes to reserve for what a dry run does not foresee: a script's.
    """

    doing: str
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    at_least: int = 0


@dataclass(frozen=True)
class Paid:
    """A query's finished job and what it cost, in bytes."""

    job: QueryJob
    estimated: int
    billed: int


def cost_of(paid: Sequence[Paid], settings: Settings) -> dict[str, Any]:
    """What queries cost together, as a manifest records it; `job_id` is the last one's."""
    billed = sum(one.billed for one in paid)
    return {
        "job_id": paid[-1].job.job_id,
        "bytes_estimated": sum(one.estimated for one in paid),
        "bytes_billed": billed,
        "usd": round(usd(settings, billed), 6),
    }


def fingerprint(*parts: Any) -> str:
    """16 hex digits that stand for these values."""
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:16]


class Jobs:
    """Jobs of one command in one data set."""

    def __init__(self, settings: Settings, verb: str, run: str, release_id: str | None = None) -> None:
        self.settings = settings
        self.verb = verb
        self.client = google.connect(settings)
        self.ledger = Ledger(settings, verb, run, self._unpaid)
        self.release_id = release_id

    @property
    def dataset(self) -> str:
        return f"{self.settings.project}.{self.settings.dataset}"

    def estimate(self, statement: Statement) -> int:
        """Bytes that a query would have billed, BigQuery's minimum a table included: a dry run, which is free."""
        with google.told(self.settings, f"estimating the cost of {statement.doing}"):
            config = self._config(statement.parameters, None)
            config.dry_run = True
            config.use_query_cache = False
            job = self.client.query(statement.sql, job_config=config, job_retry=None, timeout=google.REQUEST)
            processed, tables = int(job.total_bytes_processed or 0), len(job.referenced_tables or ())
        return max(billable(processed, tables), statement.at_least)

    def query(self, statement: Statement, source_day: date | None = None) -> Paid:
        """Runs a query, within the budgets. Raises BudgetError before it runs, or as `told`."""
        name = self._name(uuid.uuid4().hex)
        reservation = self._reserve(name, statement, source_day)
        job = self._begin(name, statement, source_day, reservation)
        failure = self._wait(job, statement.doing)
        paid = _paid(job, reservation.bytes)
        self.ledger.settle(reservation, paid.billed if failure is None else 0)
        if failure is not None:
            raise failure
        return paid

    def define(self, doing: str, sql: str) -> None:
        """Runs DDL, which reads no rows and costs nothing."""
        failure = self._wait(
            self._start(self._name(uuid.uuid4().hex), Statement(doing, sql), None, MINIMUM), doing
        )
        if failure is not None:
            raise failure

    def query_once(self, key: str, statement: Statement, source_day: date) -> Paid:
        """Runs a query as the job that `key` names. One that is running or has finished is waited for instead, and paid for once."""
        reservation: Reservation | None = None

        def start(name: str) -> QueryJob:
            nonlocal reservation
            if reservation is not None:  # of a job that failed
                self.ledger.settle(reservation, 0)
            reservation = self._reserve(name, statement, source_day)
            return self._begin(name, statement, source_day, reservation)

        try:
            job = self._once(self._name(key), statement.doing, start, lambda job, done: self._has_rows(job))
        except google.UnansweredError:
            raise  # it may be running: what was reserved counts
        except TitlerError:
            if reservation is not None:
                self.ledger.settle(reservation, 0)
            raise
        estimated = reservation.bytes if reservation is not None else int(job.total_bytes_processed or 0)
        paid = _paid(job, estimated)
        # also for who began it and is gone: the ledger takes one figure a job
        today = datetime.now(UTC).date()
        self.ledger.settle(
            reservation or Reservation(job.job_id, 0, 0, self.verb, source_day, self.release_id, today),
            paid.billed,
        )
        return paid

    def load_once(self, key: str, doing: str, start: Callable[[str], LoadJob]) -> None:
        """Loads, as the job that `key` names; one that is running is waited for instead. One that has finished is not enough: who asks has
        looked, and its rows are not there."""
        self._once(self._name(key), doing, start, lambda job, done: not done)

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
        """The ledger's own statements; begun again where many write at once."""
        failure: TitlerError | None = None
        for attempt in range(ATTEMPTS):
            job = self._start(
                f"titler_ledger_{uuid.uuid4().hex}",
                Statement("keeping account", sql, parameters),
                None,
                LEDGER_BYTES,
            )
            failure = self._wait(job, "keeping account")
            if failure is None:
                return self.rows(Paid(job, 0, 0)) if job.statement_type == "SELECT" else []
            if not _is_transient(failure):
                raise failure
            time.sleep(2**attempt)
        assert failure is not None
        raise failure

    def _reserve(self, name: str, statement: Statement, source_day: date | None) -> Reservation:
        count = self.estimate(statement)
        say(f"    BigQuery: {statement.doing}: {priced(self.settings, count)}")
        return self.ledger.reserve(name, count, source_day, self.release_id)

    def _begin(
        self, name: str, statement: Statement, source_day: date | None, reservation: Reservation
    ) -> QueryJob:
        """Starts a query; what BigQuery refuses to begin costs nothing."""
        try:
            return self._start(name, statement, source_day, reservation.left)
        except google.UnansweredError:
            raise
        except TitlerError:
            self.ledger.settle(reservation, 0)
            raise

    def _start(self, name: str, statement: Statement, source_day: date | None, left: int) -> QueryJob:
        config = self._config(statement.parameters, source_day)
        config.maximum_bytes_billed = max(left, 1)
        with google.told(self.settings, statement.doing):
            try:
                return self.client.query(
                    statement.sql, job_id=name, job_config=config, job_retry=None, timeout=google.REQUEST
                )
            except exceptions.Conflict:  # it got there, though the answer did not come back
                return self.taken(name)

    def taken(self, name: str) -> Any:
        """The job of a name that is taken; it may take BigQuery a moment to find it."""
        for attempt in range(ATTEMPTS):
            job = self._find(name)
            if job is not None:
                return job
            time.sleep(2**attempt)
        raise google.UnansweredError(f"BigQuery has a job called {name} and does not find it.", google.AGAIN)

    def _config(self, parameters: Mapping[str, Any], source_day: date | None) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in parameters.items()]
        )
        config.labels = self.labels(source_day)
        return config

    def _once(
        self, name: str, doing: str, start: Callable[[str], Any], usable: Callable[[Any, bool], bool]
    ) -> Any:
        """The job called `name`, or where that has failed or is of no use, `name_1`, `name_2` ...: found, or started.

        Waits until it has finished. `usable(job, done)` says whether it will do; `done`: it had finished when it was found.
        """
        started = 0
        for number in itertools.count():
            current = f"{name}_{number}" if number else name
            job = self._find(current)
            found, done = job is not None, job is not None and job.state == "DONE"
            if job is None:
                job = start(current)
                started += 1
            failure = self._wait(job, doing)
            if failure is None and usable(job, done):
                return job
            if failure is not None and not found and (started == ATTEMPTS or not _is_transient(failure)):
                raise failure
        raise AssertionError  # a count has no end

    def _find(self, name: str) -> Any:
        with google.told(self.settings, f"looking for the job {name}"):
            try:
                return self.client.get_job(name, location=self.settings.location, timeout=google.REQUEST)
            except exceptions.NotFound:
                return None

    def _wait(self, job: Any, doing: str) -> TitlerError | None:
        """Waits until a job has finished; what it failed of. Raises UnansweredError where nobody knows how it ends."""
        until, pause = time.monotonic() + self.settings.timeout, 0.05
        with google.told(self.settings, doing):
            try:
                while job.state != "DONE" and not job.done(timeout=google.REQUEST):
                    if time.monotonic() > until:
                        raise google.UnansweredError(
                            f"BigQuery's job {job.job_id} has been running for more than warehouse.timeout = {self.settings.timeout} s: "
                            f"{doing}.",
                            f"It goes on. {google.AGAIN}",
                        )
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
            except exceptions.ClientError as error:  # of asking, not of the job
                raise google.UnansweredError(
                    f"BigQuery does not say how {doing} ended: {error.message}", google.AGAIN
                ) from None
        ended = job.error_result
        return (
            google.refusal(self.settings, doing, str(ended.get("reason", "")), str(ended.get("message", "")))
            if ended
            else None
        )

    def _has_rows(self, job: QueryJob) -> bool:
        """Whether the result is still there: BigQuery keeps it for a day."""
        with google.told(self.settings, "looking at a result"):
            try:
                self.client.get_table(job.destination, timeout=google.REQUEST)
            except exceptions.NotFound:
                return False
        return True


def billable(processed: int, tables: int) -> int:
    """What BigQuery bills for bytes processed: whole MiB, and 10 MiB a table at the least (BigQuery's pricing, on-demand queries)."""
    if not processed:
        return 0
    return max(-(-processed // MIB) * MIB, MINIMUM * max(tables, 1))


def _is_transient(error: TitlerError) -> bool:
    return isinstance(error, google.RefusedError) and error.reason in google.TRANSIENT


def _paid(job: QueryJob, estimated: int) -> Paid:
    billed = job.total_bytes_billed
    return Paid(job, estimated, estimated if billed is None else int(billed))


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple, set, frozenset)):
        return bigquery.ArrayQueryParameter(name, "STRING", sorted(value))
    kind = next(kind for python, kind in _TYPES if isinstance(value, python))
    return bigquery.ScalarQueryParameter(name, kind, value)
