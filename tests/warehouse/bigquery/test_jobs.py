"""A job has one id: a retried task finds it, running or finished, and does not pay again."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from pipeline.contracts import SPEND
from pipeline.errors import BudgetError, WarehouseError
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery import BigQueryWarehouse
from pipeline.warehouse.bigquery.jobs import Statement
from tests.support.emulator import Answer, Emulator, Request
from tests.warehouse.bigquery.conversation import answer_always, answer_once, failed, jobs_started

DAY = date(2015, 1, 3)
STATEMENT = Statement("a query", "SELECT 1 AS one")


def running(forward: Any) -> Answer:
    """The emulator's answer about a finished job, changed to say that the job is running."""
    response = forward()
    value = json.loads(response.body)
    value["status"] = {"state": "RUNNING"}
    return Answer(response.status, json.dumps(value).encode(), response.headers)


@pytest.fixture
def warehouse(bigquery_warehouse: BigQueryWarehouse) -> BigQueryWarehouse:
    bigquery_warehouse.tables.ensure(SPEND)
    return bigquery_warehouse


def names(emulator: Emulator) -> list[str]:
    return [job["jobReference"]["jobId"] for job in jobs_started(emulator, STATEMENT.sql)]


def test_the_same_query_is_one_job(
    warehouse: BigQueryWarehouse, bigquery_settings: Settings, emulator: Emulator
) -> None:
    first = warehouse.jobs.query_once("key", STATEMENT, DAY)
    retried = BigQueryWarehouse(bigquery_settings, "test").jobs.query_once(
        "key", STATEMENT, DAY
    )  # a retried task, in another process
    assert (warehouse.jobs.rows(first), warehouse.jobs.rows(retried)) == ([{"one": 1}], [{"one": 1}])
    assert names(emulator) == ["titler_test_key"]


def test_a_job_that_started_although_its_answer_was_lost_is_waited_for(
    warehouse: BigQueryWarehouse, emulator: Emulator
) -> None:
    def lose_answer(forward: Any) -> Answer:
        forward()
        return Answer.error(409, "duplicate", "Already Exists: Job")

    with emulator.proxy.intervene(answer_once(STATEMENT.sql, lose_answer)):
        finished = warehouse.jobs.query_once("key", STATEMENT, DAY)
    assert warehouse.jobs.rows(finished) == [{"one": 1}]
    assert names(emulator) == ["titler_test_key"]


def test_a_connection_that_drops_while_a_job_starts_does_not_start_a_second(
    warehouse: BigQueryWarehouse, emulator: Emulator
) -> None:
    def cut(forward: Any) -> Answer:
        response = forward()
        return Answer(response.status, response.body, response.headers, cut=True)

    with emulator.proxy.intervene(answer_once(STATEMENT.sql, cut)):
        finished = warehouse.jobs.query_once("key", STATEMENT, DAY)
    assert warehouse.jobs.rows(finished) == [{"one": 1}]
    assert set(names(emulator)) == {"titler_test_key"}


def test_a_job_that_fails_for_a_transient_reason_is_started_again_under_another_id(
    warehouse: BigQueryWarehouse, emulator: Emulator
) -> None:
    job = {
        "jobReference": {"projectId": warehouse.settings.project, "jobId": "titler_test_key"},
        "configuration": {"query": {"query": STATEMENT.sql}},
    }
    with emulator.proxy.intervene(
        answer_once(STATEMENT.sql, lambda forward: failed(job, "backendError", "try later"))
    ):
        finished = warehouse.jobs.query_once("key", STATEMENT, DAY)
    assert warehouse.jobs.rows(finished) == [{"one": 1}]
    assert names(emulator) == ["titler_test_key", "titler_test_key_1"]


def test_a_job_that_runs_for_a_while_is_waited_for(warehouse: BigQueryWarehouse, emulator: Emulator) -> None:
    with emulator.proxy.intervene(answer_once(STATEMENT.sql, running)):
        assert warehouse.jobs.rows(warehouse.jobs.query(STATEMENT)) == [{"one": 1}]


def test_a_job_that_fails_after_a_while_says_why_in_one_line(
    warehouse: BigQueryWarehouse, emulator: Emulator
) -> None:
    def fails(request: Request, forward: Any) -> Answer | None:
        if request.method != "GET" or "/jobs/titler_test_" not in request.path:
            return None
        return failed(
            json.loads(forward().body),
            "resourcesExceeded",
            "Resources exceeded: out of memory\n\nLocation: US",
        )

    with (
        emulator.proxy.intervene(answer_once(STATEMENT.sql, running), fails),
        pytest.raises(WarehouseError) as raised,
    ):
        warehouse.jobs.query(STATEMENT)
    assert (
        raised.value.message
        == "BigQuery rejected the request while a query: Resources exceeded: out of memory"
    )


def test_a_job_that_exceeds_the_timeout_continues_and_keeps_its_reservation(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    warehouse = BigQueryWarehouse(bigquery_settings.model_copy(update={"timeout": 1}), "test")
    warehouse.tables.ensure(SPEND)

    def runs(request: Request, forward: Any) -> Answer | None:
        return running(forward) if request.method == "GET" and "/jobs/titler_test_" in request.path else None

    with (
        emulator.proxy.intervene(answer_once(STATEMENT.sql, running), runs),
        pytest.raises(WarehouseError, match=r"more than warehouse\.timeout = 1 s"),
    ):
        warehouse.jobs.query(STATEMENT)
    assert [row["state"] for row in warehouse.tables.all_rows(SPEND.name) or []] == ["reserved"]


def test_an_invalid_query_is_not_retried(warehouse: BigQueryWarehouse, emulator: Emulator) -> None:
    with pytest.raises(WarehouseError, match=r"(?s)BigQuery rejected the request while a query: .*nothing"):
        warehouse.jobs.query_once("key", Statement("a query", "SELECT nothing AS one"), DAY)
    assert len(jobs_started(emulator, "SELECT nothing")) == 1


def test_a_job_is_labelled_with_verb_day_and_release(
    warehouse: BigQueryWarehouse, emulator: Emulator
) -> None:
    warehouse.jobs.release_id = "20150104T031200Z"
    warehouse.jobs.query_once("key", STATEMENT, DAY)
    (job,) = jobs_started(emulator, STATEMENT.sql)
    assert job["configuration"]["labels"] == {
        "app": "titler",
        "verb": "test",
        "day": "2015-01-03",
        "release": "20150104t031200z",
    }
    assert job["jobReference"]["location"] == "US"


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (
            Answer.error(
                403,
                "accessDenied",
                "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.",
            ),
            WarehouseError,
            r"BigQuery denied access while estimating the cost of a query: .*bigquery\.jobs\.create",
        ),
        (
            Answer.error(403, "quotaExceeded", "Quota exceeded: too statement queries"),
            WarehouseError,
            r"A quota of BigQuery was exceeded while .*too statement queries",
        ),
        (
            Answer.error(400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 9"),
            BudgetError,
            r"the query would have exceeded the budget: .*limit for bytes billed",
        ),
        (
            Answer.error(404, "notFound", "Not found: Dataset p:d was not found in location US"),
            WarehouseError,
            r"Something that BigQuery needs was not found while .*Dataset p:d",
        ),
    ],
)
def test_a_refusal_of_bigquery_is_one_clear_error(
    warehouse: BigQueryWarehouse, emulator: Emulator, answer: Answer, error: type[Exception], message: str
) -> None:
    with emulator.proxy.intervene(answer_always(STATEMENT.sql, answer)), pytest.raises(error, match=message):
        warehouse.jobs.query(STATEMENT)


def test_a_result_page_whose_connection_drops_is_requested_again(
    warehouse: BigQueryWarehouse, emulator: Emulator
) -> None:
    cuts: list[str] = []

    def cut(request: Any, forward: Any) -> Answer | None:
        if request.method != "GET" or "pageToken" not in request.path or cuts:
            return None
        cuts.append(request.path)
        response = forward()
        return Answer(response.status, response.body, response.headers, cut=True)

    statement = Statement("a query", "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS n ORDER BY n")
    finished = warehouse.jobs.query(statement)
    with emulator.proxy.intervene(cut):
        assert [row["n"] for row in warehouse.jobs.rows(finished)] == list(range(1, 1001))
    assert len(cuts) == 1
