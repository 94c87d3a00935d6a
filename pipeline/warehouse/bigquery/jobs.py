"""Runs BigQuery jobs: estimates how many bytes BigQuery will bill, reserves these bytes in the budget, starts
the jobs, and waits for them.

The id of a job that extracts or loads is derived from what the job does. So a task that is tried again finds
the job of its earlier attempt.
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
from pipeline.warehouse.bigquery.parameters import query_parameter
from pipeline.warehouse.price import format_price, usd

ATTEMPTS = 5  # largest number of jobs for one statement that fails for transient reasons
FIRST_POLL_INTERVAL, LONGEST_POLL_INTERVAL = 0.05, 5  # seconds between two checks of a running job
MIB = 2**20
MINIMUM_BILLED = 10 * MIB  # the smallest number of bytes that BigQuery bills per table
LEDGER_BYTES = 10**9  # the largest number of bytes that one statement on spend_v1 may bill


@dataclass(frozen=True)
class Statement:
    """A SQL statement with the values of its `@named` parameters.

    `action` completes the sentence "BigQuery failed while ...", for example "checking release R". `at_least`
    is the smallest number of bytes to reserve in the budget. It is needed for a script of several statements,
    because a dry run does not estimate the bytes of a script.
    """

    action: str
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    at_least: int = 0


@dataclass(frozen=True)
class FinishedQuery:
    """The job of a finished query, with its estimated and its billed bytes."""

    job: QueryJob
    estimated: int
    billed: int


def cost_of(queries: Sequence[FinishedQuery], settings: Settings) -> dict[str, Any]:
    """Returns a dict with the estimated bytes, the billed bytes and the price of all `queries` together. Its
    key `job_id` has the id of the last query's job."""
    billed = sum(query.billed for query in queries)
    return {
        "job_id": queries[-1].job.job_id,
        "bytes_estimated": sum(query.estimated for query in queries),
        "bytes_billed": billed,
        "usd": round(usd(settings, billed), 6),
    }


def fingerprint(*values: Any) -> str:
    """Returns 16 hexadecimal digits that identify `values`."""
    return hashlib.sha256(json.dumps(values, default=str, sort_keys=True).encode()).hexdigest()[:16]


class Jobs:
    """Runs the BigQuery jobs of one command, such as `titler publish`, in one data set, and waits for them.
    Before a query, estimates how many bytes BigQuery will bill for it, and reserves these bytes in the
    budget. Load jobs and DDL statements are free, so nothing is reserved for them."""

    def __init__(self, settings: Settings, verb: str, run: str, release_id: str | None = None) -> None:
        self.settings = settings
        self.verb = verb
        self.client = connect(settings)
        self.ledger = SpendLedger(settings, verb, run, self._execute_uncounted)
        self.release_id = release_id

    @property
    def dataset(self) -> str:
        return f"{self.settings.project}.{self.settings.dataset}"

    @property
    def views_dataset(self) -> str:
        """The address of the data set with the views and table functions."""
        return f"{self.settings.project}.{self.settings.views_dataset or self.settings.dataset}"

    def estimate(self, statement: Statement) -> int:
        """Returns how many bytes BigQuery would bill for a query. BigQuery bills at least 10 MiB per table.

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
        """Runs a query within the budgets, and waits for it.

        If the query would exceed a budget, raises BudgetError before the query runs. If the query fails,
        raises one of the errors of `translated_errors`.
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
        """Runs DDL statements, such as CREATE VIEW, which read no rows and cost nothing."""
        job = self._start(self._job_id(uuid.uuid4().hex), Statement(action, sql), None, MINIMUM_BILLED)
        failure = self._wait(job, action)
        if failure is not None:
            raise failure

    def query_once(
        self, key: str, statement: Statement, source_day: date, billed_before: int = 0
    ) -> FinishedQuery:
        """Runs a query as a job whose id contains `key`, and returns the finished query. `billed_before` is
        the number of bytes that BigQuery has already billed for other queries of the same source day.

        If an earlier call has started a job with this key, waits for that job, so that the query is paid for
        only once. Starts another job if that job failed, or if its result was deleted.
        """
        reservation: Reservation | None = None

        def start(job_id: str) -> QueryJob:
            nonlocal reservation
            if reservation is not None:  # the earlier job failed
                self.ledger.record_billed(reservation, 0)
            reservation = self._reserve(job_id, statement, source_day, billed_before)
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
        # Another process may have started the job and died before it recorded the billed bytes. Recording
        # them again does no harm: the ledger counts each job once.
        today = datetime.now(UTC).date()
        self.ledger.record_billed(
            reservation or Reservation(job.job_id, 0, 0, self.verb, source_day, self.release_id, today),
            query.billed,
        )
        return query

    def load_once(self, key: str, action: str, start: Callable[[str], LoadJob]) -> None:
        """Loads rows with a job whose id contains `key`. The function `start` starts a job with a given id.

        The caller has already checked that the table lacks the rows. If an earlier job with this key is still
        running, waits for it. If it has finished, it failed or its rows were deleted: starts another job.
        """
        self._run_once(self._job_id(key), action, start, lambda job, was_finished: not was_finished)

    def rows(self, query: FinishedQuery) -> list[dict[str, Any]]:
        """Returns the rows of a finished query, all in memory. So the result must be small."""
        with translated_errors(self.settings, "reading a result"):
            return [dict(row) for row in query.job.result(job_retry=None, timeout=self.settings.timeout)]

    def labels(self, source_day: date | None = None) -> dict[str, str]:
        """Returns the labels of a job: the command that started it, the source day and the release.

        The labels are in lower case, as BigQuery requires.
        """
        labels = {"app": "titler", "verb": self.verb}
        if source_day:
            labels["day"] = source_day.isoformat()
        if self.release_id:
            labels["release"] = re.sub(r"[^a-z0-9_-]", "_", self.release_id.lower())[:63]
        return labels

    def find_started(self, job_id: str) -> Any:
        """Returns the job `job_id`. Call this method if BigQuery refused to start a job because its id is in
        use.

        BigQuery may need a moment to find the job. Raises UnansweredError if ATTEMPTS searches find nothing.
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
                f"BigQuery reports that the job {job_id} exists, but cannot find the job.", RERUN
            ) from None

    def _job_id(self, key: str) -> str:
        return f"titler_{self.verb}_{key}"

    def _execute_uncounted(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Runs a statement on the table `spend_v1` and returns its rows. No budget counts its bytes.

        Retries the statement if it fails for a transient reason, such as many concurrent writers.
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

    def _reserve(
        self, job_id: str, statement: Statement, source_day: date | None, billed_before: int = 0
    ) -> Reservation:
        count = self.estimate(statement)
        say(f"    BigQuery is expected to bill {format_price(self.settings, count)} for {statement.action}")
        return self.ledger.reserve(job_id, count, source_day, self.release_id, billed_before)

    def _start_reserved(
        self, job_id: str, statement: Statement, source_day: date | None, reservation: Reservation
    ) -> QueryJob:
        """Starts a query. `reservation` says how many bytes of the budget are reserved for it. If BigQuery
        refuses the query, records 0 billed bytes, which replace the reserved bytes."""
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
            query_parameters=[query_parameter(name, value) for name, value in parameters.items()]
        )
        config.labels = self.labels(source_day)
        return config

    def _run_once(
        self, job_id: str, action: str, start: Callable[[str], Any], is_usable: Callable[[Any, bool], bool]
    ) -> Any:
        """Finds the job `job_id`, or starts it with `start(job_id)`. Waits for the job and returns it.

        A job that succeeded is returned if `is_usable(job, was_finished)` is True. `was_finished` says
        whether the job had finished before this call. If the job failed or is not usable, the ids `job_id`_1,
        `job_id`_2 and so on are tried in the same way.

        Raises the error of a job that this call started if the error is not transient, or if this call has
        started ATTEMPTS jobs. Ignores the error of a job that an earlier call started.
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
        """Waits until a job has finished. Returns the job's error, or None if the job succeeded.

        Raises UnansweredError if the job takes longer than warehouse.timeout, or if BigQuery does not report
        the job's state.
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
                    f"BigQuery's job {job.job_id} ({action}) has been running for more than "
                    f"warehouse.timeout = {self.settings.timeout} s.",
                    f"The job continues to run. {RERUN}",
                ) from None
            except exceptions.ClientError as error:  # the request for the state failed, not the job
                raise UnansweredError(
                    f"BigQuery does not report the state of a job ({action}): {error.message}", RERUN
                ) from None
        error_result = job.error_result
        if not error_result:
            return None
        reason, message = str(error_result.get("reason", "")), str(error_result.get("message", ""))
        return refusal(self.settings, action, reason, message)

    def _has_rows(self, job: QueryJob) -> bool:
        """Returns whether BigQuery still stores the result of a query. BigQuery deletes results after a
        day."""
        with translated_errors(self.settings, "looking for a result"):
            try:
                self.client.get_table(job.destination, timeout=REQUEST_TIMEOUT)
            except exceptions.NotFound:
                return False
        return True


def billable_bytes(processed: int, tables: int) -> int:
    """Returns the number of bytes that BigQuery bills for a query: the bytes that the query reads, rounded up
    to whole MiB, and at least 10 MiB per table.

    `processed` is the number of bytes that the query reads; 0 gives 0. Source: BigQuery's on-demand pricing.
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
