"""A job has one name: whoever comes back finds it, running or done, and does not pay again."""

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
from tests.warehouse.bigquery.conversation import always, failed, jobs_started, once

DAY = date(2015, 1, 3)
ONE = Statement("a question", "SELECT 1 AS one")


def running(ask: Any) -> Answer:
    """The emulator's answer of a finished job, as of one that runs."""
    answer = ask()
    value = json.loads(answer.body)
    value["status"] = {"state": "RUNNING"}
    return Answer(answer.status, json.dumps(value).encode(), answer.headers)


@pytest.fixture
def house(bigquery_warehouse: BigQueryWarehouse) -> BigQueryWarehouse:
    bigquery_warehouse.tables.ensure(SPEND)
    return bigquery_warehouse


def names(emulator: Emulator) -> list[str]:
    return [job["jobReference"]["jobId"] for job in jobs_started(emulator, ONE.sql)]


def test_the_same_question_is_one_job(
    house: BigQueryWarehouse, bigquery_settings: Settings, emulator: Emulator
) -> None:
    first = house.jobs.query_once("key", ONE, DAY)
    again = BigQueryWarehouse(bigquery_settings, "test").jobs.query_once(
        "key", ONE, DAY
    )  # a retried task, in a process of its own
    assert (house.jobs.rows(first), house.jobs.rows(again)) == ([{"one": 1}], [{"one": 1}])
    assert names(emulator) == ["titler_test_key"]


def test_a_job_that_began_though_its_answer_was_lost_is_waited_for(
    house: BigQueryWarehouse, emulator: Emulator
) -> None:
    def taken(ask: Any) -> Answer:
        ask()
        return Answer.error(409, "duplicate", "Already Exists: Job")

    with emulator.proxy.intervene(once(ONE.sql, taken)):
        paid = house.jobs.query_once("key", ONE, DAY)
    assert house.jobs.rows(paid) == [{"one": 1}]
    assert names(emulator) == ["titler_test_key"]


def test_a_connection_that_drops_while_a_job_begins_begins_no_second(
    house: BigQueryWarehouse, emulator: Emulator
) -> None:
    def cut(ask: Any) -> Answer:
        answer = ask()
        return Answer(answer.status, answer.body, answer.headers, cut=True)

    with emulator.proxy.intervene(once(ONE.sql, cut)):
        paid = house.jobs.query_once("key", ONE, DAY)
    assert house.jobs.rows(paid) == [{"one": 1}]
    assert set(names(emulator)) == {"titler_test_key"}


def test_a_job_that_fails_for_a_moment_is_begun_again_under_another_name(
    house: BigQueryWarehouse, emulator: Emulator
) -> None:
    job = {
        "jobReference": {"projectId": house.settings.project, "jobId": "titler_test_key"},
        "configuration": {"query": {"query": ONE.sql}},
    }
    with emulator.proxy.intervene(once(ONE.sql, lambda ask: failed(job, "backendError", "try later"))):
        paid = house.jobs.query_once("key", ONE, DAY)
    assert house.jobs.rows(paid) == [{"one": 1}]
    assert names(emulator) == ["titler_test_key", "titler_test_key_1"]


def test_a_job_that_runs_for_a_while_is_waited_for(house: BigQueryWarehouse, emulator: Emulator) -> None:
    with emulator.proxy.intervene(once(ONE.sql, running)):
        assert house.jobs.rows(house.jobs.query(ONE)) == [{"one": 1}]


def test_a_job_that_fails_after_a_while_says_why_in_one_line(
    house: BigQueryWarehouse, emulator: Emulator
) -> None:
    def fails(request: Request, ask: Any) -> Answer | None:
        if request.method != "GET" or "/jobs/titler_test_" not in request.path:
            return None
        return failed(
            json.loads(ask().body), "resourcesExceeded", "Resources exceeded: out of memory\n\nLocation: US"
        )

    with (
        emulator.proxy.intervene(once(ONE.sql, running), fails),
        pytest.raises(WarehouseError) as raised,
    ):
        house.jobs.query(ONE)
    assert raised.value.message == "BigQuery rejects a question: Resources exceeded: out of memory"


def test_a_job_that_outlasts_its_time_goes_on_and_keeps_its_reservation(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    house = BigQueryWarehouse(bigquery_settings.model_copy(update={"timeout": 1}), "test")
    house.tables.ensure(SPEND)

    def runs(request: Request, ask: Any) -> Answer | None:
        return running(ask) if request.method == "GET" and "/jobs/titler_test_" in request.path else None

    with (
        emulator.proxy.intervene(once(ONE.sql, running), runs),
        pytest.raises(WarehouseError, match=r"more than warehouse\.timeout = 1 s"),
    ):
        house.jobs.query(ONE)
    assert [row["state"] for row in house.tables.all_rows(SPEND.name) or []] == ["reserved"]


def test_a_job_that_is_wrong_is_not_tried_again(house: BigQueryWarehouse, emulator: Emulator) -> None:
    with pytest.raises(WarehouseError, match=r"(?s)BigQuery rejects a question: .*nothing"):
        house.jobs.query_once("key", Statement("a question", "SELECT nothing AS one"), DAY)
    assert len(jobs_started(emulator, "SELECT nothing")) == 1


def test_a_job_says_who_asks_and_for_which_day(house: BigQueryWarehouse, emulator: Emulator) -> None:
    house.jobs.release_id = "20150104T031200Z"
    house.jobs.query_once("key", ONE, DAY)
    (job,) = jobs_started(emulator, ONE.sql)
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
            r"BigQuery refuses estimating the cost of a question: .*bigquery\.jobs\.create",
        ),
        (
            Answer.error(403, "quotaExceeded", "Quota exceeded: too many queries"),
            WarehouseError,
            r"BigQuery's quota stops .*too many queries",
        ),
        (
            Answer.error(400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 9"),
            BudgetError,
            r"would have billed more",
        ),
        (
            Answer.error(404, "notFound", "Not found: Dataset p:d was not found in location US"),
            WarehouseError,
            r"does not find .*Dataset p:d",
        ),
    ],
)
def test_what_bigquery_refuses_is_one_clear_error(
    house: BigQueryWarehouse, emulator: Emulator, answer: Answer, error: type[Exception], message: str
) -> None:
    with emulator.proxy.intervene(always(ONE.sql, answer)), pytest.raises(error, match=message):
        house.jobs.query(ONE)


def test_a_page_whose_connection_drops_is_asked_for_again(
    house: BigQueryWarehouse, emulator: Emulator
) -> None:
    cuts: list[str] = []

    def cut(request: Any, ask: Any) -> Answer | None:
        if request.method != "GET" or "pageToken" not in request.path or cuts:
            return None
        cuts.append(request.path)
        answer = ask()
        return Answer(answer.status, answer.body, answer.headers, cut=True)

    many = Statement("a question", "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS n ORDER BY n")
    paid = house.jobs.query(many)
    with emulator.proxy.intervene(cut):
        assert [row["n"] for row in house.jobs.rows(paid)] == list(range(1, 1001))
    assert len(cuts) == 1
