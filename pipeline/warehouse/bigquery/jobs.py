"""BigQuery jobs: estimated and reserved before they run, named so that a retried task finds its job, and
waited for.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery.job import LoadJob, QueryJob
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
)

from pipeline.errors import TitlerError
from pipeline.progress import say
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery.budgets import Reservation, SpendLedger
from pipeline.warehouse.bigquery.client import REQUEST_TIMEOUT, connect
from pipeline.warehouse.bigquery.errors import (
    RERUN,
    TRANSIENT_REASONS,
    RefusedError,
    UnansweredError,
    refusal,
    translated_errors,
)
from pipeline.warehouse.price import format_price, usd

ATTEMPTS = 5  # jobs started for one statement that fails for a transient reason
FIRST_POLL_INTERVAL, LONGEST_POLL_INTERVAL = 0.05, 5  # seconds between two checks of a running job
MIB = 2**20
MINIMUM_BILLED = 10 * MIB  # bytes per table
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
    """SQL with the values of its `@named` parameters.

    `action` completes "BigQuery failed while ...": reading a day, checking.

    `at_least` is the smallest number of bytes to reserve, for a script, whose bytes a dry run does not
    estimate.
    """

    action: str
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    at_least: int = 0


@dataclass(frozen=True)
class FinishedQuery:
    """The job of a finished query, and its cost in bytes."""

    job: QueryJob
    estimated: int
    billed: int


def cost_of(queries: Sequence[FinishedQuery], settings: Settings) -> dict[str, Any]:
    """The total cost of queries, in the form that a manifest stores. `job_id` is that of the last query."""
    billed = sum(query.billed for query in queries)
    return {
        "job_id": queries[-1].job.job_id,
        "bytes_estimated": sum(query.estimated for query in queries),
        "bytes_billed": billed,
        "usd": round(usd(settings, billed), 6),
    }


def fingerprint(*values: Any) -> str:
    """16 hex digits that identify these values."""
    return hashlib.sha256(json.dumps(values, default=str, sort_keys=True).encode()).hexdigest()[:16]


class Jobs:
    """The jobs of one command in one data set."""

    def __init__(self, settings: Settings, verb: str, run: str, release_id: str | None = None) -> None:
        self.settings = settings
        self.verb = verb
        self.client = connect(settings)
        self.ledger = SpendLedger(settings, verb, run, self._execute_uncounted)
        self.release_id = release_id

    @property
    def dataset(self) -> str:
        return f"{self.settings.project}.{self.settings.dataset}"

    def estimate(self, statement: Statement) -> int:
        """Bytes that a query would bill, including BigQuery's minimum per table.

        Uses a dry run, which is free.
        """
        with translated_errors(self.settings, f"estimating the cost of {statement.action}"):
            config = self._config(statement.parameters, None)
            config.dry_run = True
            config.use_query_cache = False
            job = self.client.query(statement.sql, job_config=config, job_retry=None, timeout=REQUEST_TIMEOUT)
            processed, tables = int(job.total_bytes_processed or 0), len(job.referenced_tables or ())
        return max(billable_bytes(processed, tables), statement.at_least)

    def query(self, statement: Statement, source_day: date | None = None) -> FinishedQuery:
        """Runs a query within the budgets.

        Raises BudgetError before it runs, or an error of `translated_errors`.
        """
        job_id = self._job_id(uuid.uuid4().hex)
        reservation = self._reserve(job_id, statement, source_day)
        job = self._start_reserved(job_id, statement, source_day, reservation)
        failure = self._wait(job, statement.action)
        query = _finished_query(job, reservation.bytes)
        self.ledger.record_billed(reservation, query.billed if failure is None else 0)
        if failure is not None:
            raise failure
        return query

    def run_ddl(self, action: str, sql: str) -> None:
        """Runs DDL, which reads no rows and costs nothing."""
        job = self._start(self._job_id(uuid.uuid4().hex), Statement(action, sql), None, MINIMUM_BILLED)
        failure = self._wait(job, action)
        if failure is not None:
            raise failure

    def query_once(self, key: str, statement: Statement, source_day: date) -> FinishedQuery:
        """Runs a query as the job that `key` names.

        If this job is running or has finished, waits for it instead of starting another: the query is paid
        for once.
        """
        reservation: Reservation | None = None

        def start(job_id: str) -> QueryJob:
            nonlocal reservation
            if reservation is not None:  # of a job that failed
                self.ledger.record_billed(reservation, 0)
            reservation = self._reserve(job_id, statement, source_day)
            return self._start_reserved(job_id, statement, source_day, reservation)

        try:
            job = self._run_once(
                self._job_id(key), statement.action, start, lambda job, was_finished: self._has_rows(job)
            )
        except UnansweredError:
            raise  # the job may be running, so its reservation counts
        except TitlerError:
            if reservation is not None:
                self.ledger.record_billed(reservation, 0)
            raise
        estimated = reservation.bytes if reservation is not None else int(job.total_bytes_processed or 0)
        query = _finished_query(job, estimated)
        # The process that started the job may have died before it recorded this. The ledger counts each job
        # once.
        today = datetime.now(UTC).date()
        self.ledger.record_billed(
            reservation or Reservation(job.job_id, 0, 0, self.verb, source_day, self.release_id, today),
            query.billed,
        )
        return query

    def load_once(self, key: str, action: str, start: Callable[[str], LoadJob]) -> None:
        """Loads as the job that `key` names.

        If this job is running, waits for it instead of starting another.

        A job that had finished does not count: the caller has already checked that the rows are missing.
        """
        self._run_once(self._job_id(key), action, start, lambda job, was_finished: not was_finished)

    def rows(self, query: FinishedQuery) -> list[dict[str, Any]]:
        """The rows of a small result."""
        with translated_errors(self.settings, "reading a result"):
            return [dict(row) for row in query.job.result(job_retry=None, timeout=self.settings.timeout)]

    def labels(self, source_day: date | None = None) -> dict[str, str]:
        """The labels of a job: which verb started it, for which day and release.

        In lower case, as BigQuery requires.
        """
        labels = {"app": "titler", "verb": self.verb}
        if source_day:
            labels["day"] = source_day.isoformat()
        if self.release_id:
            labels["release"] = re.sub(r"[^a-z0-9_-]", "_", self.release_id.lower())[:63]
        return labels

    def find_started(self, job_id: str) -> Any:
        """The job with an id that BigQuery calls taken. It may take BigQuery a moment to find the job.

        Raises UnansweredError if it does not find it in ATTEMPTS attempts.
        """
        find = Retrying(
            retry=retry_if_result(lambda job: job is None),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(),
        )
        try:
            return find(self._find, job_id)
        except RetryError:
            raise UnansweredError(
                f"BigQuery has a job called {job_id} and does not find it.", RERUN
            ) from None

    def _job_id(self, key: str) -> str:
        return f"titler_{self.verb}_{key}"

    def _execute_uncounted(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Runs a statement of the ledger.

        Retries it if it fails for a transient reason, such as many concurrent writers.
        """
        statement = Statement("recording what was spent", sql, parameters)

        def run() -> tuple[QueryJob, TitlerError | None]:
            job = self._start(f"titler_ledger_{uuid.uuid4().hex}", statement, None, LEDGER_BYTES)
            return job, self._wait(job, statement.action)

        retry = Retrying(
            retry=retry_if_result(lambda result: _is_transient(result[1])),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(),
            retry_error_callback=_last_result,
        )
        job, failure = retry(run)
        if failure is not None:
            raise failure
        return self.rows(FinishedQuery(job, 0, 0)) if job.statement_type == "SELECT" else []

    def _reserve(self, job_id: str, statement: Statement, source_day: date | None) -> Reservation:
        count = self.estimate(statement)
        say(f"    BigQuery: {statement.action}: {format_price(self.settings, count)}")
        return self.ledger.reserve(job_id, count, source_day, self.release_id)

    def _start_reserved(
        self, job_id: str, statement: Statement, source_day: date | None, reservation: Reservation
    ) -> QueryJob:
        """Starts a query. If BigQuery refuses to start it, records that it cost nothing."""
        try:
            return self._start(job_id, statement, source_day, reservation.limit)
        except UnansweredError:
            raise
        except TitlerError:
            self.ledger.record_billed(reservation, 0)
            raise

    def _start(self, job_id: str, statement: Statement, source_day: date | None, limit: int) -> QueryJob:
        config = self._config(statement.parameters, source_day)
        config.maximum_bytes_billed = max(limit, 1)
        with translated_errors(self.settings, statement.action):
            try:
                return self.client.query(
                    statement.sql, job_id=job_id, job_config=config, job_retry=None, timeout=REQUEST_TIMEOUT
                )
            except exceptions.Conflict:  # an earlier request started the job, but its answer was lost
                return self.find_started(job_id)

    def _config(self, parameters: Mapping[str, Any], source_day: date | None) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in parameters.items()]
        )
        config.labels = self.labels(source_day)
        return config

    def _run_once(
        self, job_id: str, action: str, start: Callable[[str], Any], is_usable: Callable[[Any, bool], bool]
    ) -> Any:
        """Finds or starts the job `job_id`, and waits for it.

        If it failed or is not usable, goes on with `job_id`_1, _2 and so on.

        `is_usable(job, was_finished)` decides about a job that succeeded; `was_finished` if it had finished
        before this call. Starts at most ATTEMPTS jobs, and more than one only for transient failures.
        """
        started = 0
        for number in itertools.count():
            numbered_id = f"{job_id}_{number}" if number else job_id
            job = self._find(numbered_id)
            existed = job is not None
            was_finished = job is not None and job.state == "DONE"
            if job is None:
                job = start(numbered_id)
                started += 1
            failure = self._wait(job, action)
            if failure is None and is_usable(job, was_finished):
                return job
            if failure is not None and not existed and (started == ATTEMPTS or not _is_transient(failure)):
                raise failure
        raise AssertionError  # unreachable: the loop has no end

    def _find(self, job_id: str) -> Any:
        with translated_errors(self.settings, f"looking for the job {job_id}"):
            try:
                return self.client.get_job(job_id, location=self.settings.location, timeout=REQUEST_TIMEOUT)
            except exceptions.NotFound:
                return None

    def _wait(self, job: Any, action: str) -> TitlerError | None:
        """Waits until a job has finished. Returns the error of a job that failed, None if it succeeded.

        Raises UnansweredError if the job takes longer than warehouse.timeout, or if BigQuery does not report
        its state.
        """
        poll = Retrying(
            retry=retry_if_result(lambda is_finished: not is_finished),
            stop=stop_after_delay(self.settings.timeout),
            wait=wait_exponential(multiplier=FIRST_POLL_INTERVAL, max=LONGEST_POLL_INTERVAL),
        )
        with translated_errors(self.settings, action):
            try:
                poll(lambda: job.state == "DONE" or job.done(timeout=REQUEST_TIMEOUT))
            except RetryError:
                raise UnansweredError(
                    f"BigQuery's job {job.job_id} has been running for more than "
                    f"warehouse.timeout = {self.settings.timeout} s: {action}.",
                    f"It continues to run. {RERUN}",
                ) from None
            except exceptions.ClientError as error:  # the request for the state failed, not the job
                raise UnansweredError(
                    f"BigQuery does not report how {action} ended: {error.message}", RERUN
                ) from None
        error_result = job.error_result
        if not error_result:
            return None
        reason, message = str(error_result.get("reason", "")), str(error_result.get("message", ""))
        return refusal(self.settings, action, reason, message)

    def _has_rows(self, job: QueryJob) -> bool:
        """Whether BigQuery still has the result: it stores results for a day."""
        with translated_errors(self.settings, "looking for a result"):
            try:
                self.client.get_table(job.destination, timeout=REQUEST_TIMEOUT)
            except exceptions.NotFound:
                return False
        return True


def billable_bytes(processed: int, tables: int) -> int:
    """What BigQuery bills for processed bytes: whole MiB, and at least 10 MiB per table (pricing of on-demand
    queries).
    """
    if not processed:
        return 0
    return max(-(-processed // MIB) * MIB, MINIMUM_BILLED * max(tables, 1))


def _is_transient(error: TitlerError | None) -> bool:
    return isinstance(error, RefusedError) and error.reason in TRANSIENT_REASONS


def _last_result(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()


def _finished_query(job: QueryJob, estimated: int) -> FinishedQuery:
    billed = job.total_bytes_billed
    return FinishedQuery(job, estimated, estimated if billed is None else int(billed))


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple, set, frozenset)):
        return bigquery.ArrayQueryParameter(name, "STRING", sorted(value))
    kind = next(kind for python, kind in _TYPES if isinstance(value, python))
    return bigquery.ScalarQueryParameter(name, kind, value)
