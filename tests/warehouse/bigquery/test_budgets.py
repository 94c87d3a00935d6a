"""No query exceeds a budget, and everything that is spent is recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.contracts import SPEND
from pipeline.errors import BudgetError
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery import BigQueryWarehouse
from pipeline.warehouse.bigquery.jobs import Statement, billable_bytes
from tests.support.emulator import Emulator
from tests.warehouse.bigquery.conversation import billing, jobs_started

MB = 2**20  # BigQuery bills whole units of it, at least 10
STATEMENT = Statement("a query", "SELECT 1 AS one")


def opened(settings: Settings, run: str = "run", /, **budgets: int) -> BigQueryWarehouse:
    warehouse = BigQueryWarehouse(settings.model_copy(update=budgets), "test", run)
    warehouse.tables.ensure(SPEND)
    return warehouse


def written(warehouse: BigQueryWarehouse) -> list[tuple[Any, ...]]:
    return [
        (row["state"], row["verb"], row["run"], row["bytes"])
        for row in warehouse.tables.all_rows(SPEND.name) or []
    ]


def test_a_query_is_reserved_before_it_runs_and_billed_after(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    warehouse = opened(bigquery_settings)
    with emulator.proxy.intervene(billing(10 * MB, STATEMENT.sql)):
        warehouse.jobs.query(STATEMENT)
    assert written(warehouse) == [("reserved", "test", "run", 10 * MB), ("billed", "test", "run", 10 * MB)]


def test_what_it_costs_is_printed_before(
    bigquery_settings: Settings, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = opened(bigquery_settings)
    with emulator.proxy.intervene(billing(3_400_000_000, STATEMENT.sql)):
        warehouse.jobs.query(STATEMENT)
    assert "    BigQuery is expected to bill 3.4 GB, $0.02 for a query\n" in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["max_bytes_per_run", "max_bytes_per_day"])
def test_a_query_over_a_budget_is_refused_before_it_runs(
    bigquery_settings: Settings, emulator: Emulator, setting: str
) -> None:
    warehouse = opened(bigquery_settings, **{setting: 10 * MB - 1})
    with emulator.proxy.intervene(billing(10 * MB, STATEMENT.sql)), pytest.raises(BudgetError) as raised:
        warehouse.jobs.query(STATEMENT)
    assert "but only 10.5 MB of the budget remains for " in raised.value.message
    assert f"The budget is warehouse.{setting} = 10,485,759 bytes (10.5 MB)." in raised.value.message
    assert "The query was not run." in raised.value.message
    assert f"TITLER_WAREHOUSE__{setting.upper()}=11000000" in raised.value.hint
    assert raised.value.event == f"budget/{datetime.now(UTC).date()}/warehouse.{setting}"
    assert jobs_started(emulator, STATEMENT.sql) == []
    assert written(warehouse) == [
        ("reserved", "test", "run", 10 * MB),
        ("billed", "test", "run", 0),
    ]  # a refused query spends nothing


@pytest.mark.parametrize(
    ("budgets", "exit_code"),
    [
        ({"max_bytes_per_day": 15 * MB}, 4),  # the next day's budget will suffice
        ({"max_bytes_per_day": 9 * MB}, 3),  # no day's budget suffices
        ({"max_bytes_per_run": 15 * MB}, 3),  # the same command would be refused again on the next day
    ],
)
def test_only_what_the_next_day_can_pay_for_is_deferred(
    bigquery_settings: Settings, emulator: Emulator, budgets: dict[str, int], exit_code: int
) -> None:
    with emulator.proxy.intervene(billing(10 * MB, STATEMENT.sql)):
        opened(bigquery_settings).jobs.query(STATEMENT)
        with pytest.raises(BudgetError) as raised:
            opened(bigquery_settings, **budgets).jobs.query(STATEMENT)
    assert raised.value.exit_code == exit_code


def test_a_day_is_shared_by_its_commands_and_a_run_by_its_processes(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    with emulator.proxy.intervene(billing(60 * MB, STATEMENT.sql)):
        opened(bigquery_settings, "first").jobs.query(STATEMENT)
        with pytest.raises(
            BudgetError, match=r"only 41\.9 MB of the budget remains for .*\. The budget is warehouse\.\w+ = "
        ):
            opened(bigquery_settings, "second", max_bytes_per_day=100 * MB).jobs.query(STATEMENT)
        with pytest.raises(
            BudgetError, match=r"only 41\.9 MB of the budget remains for .*\. The budget is warehouse\.\w+ = "
        ):
            opened(bigquery_settings, "first", max_bytes_per_run=100 * MB).jobs.query(STATEMENT)
        opened(bigquery_settings, "second", max_bytes_per_run=100 * MB).jobs.query(STATEMENT)


def test_two_that_begin_together_never_overspend_together(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    warehouse = opened(bigquery_settings, max_bytes_per_day=100 * MB)
    warehouse.jobs.ledger.reserve("of another", 60 * MB, None, None)  # reserved, but not billed yet
    with emulator.proxy.intervene(billing(60 * MB, STATEMENT.sql)), pytest.raises(BudgetError):
        warehouse.jobs.query(STATEMENT)


def test_the_most_that_a_job_may_bill_is_what_the_budget_has_left(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    warehouse = opened(bigquery_settings, max_bytes_per_run=50 * MB, max_bytes_per_day=80 * MB)
    with emulator.proxy.intervene(billing(10 * MB, STATEMENT.sql)):
        warehouse.jobs.query(STATEMENT)
        warehouse.jobs.query(STATEMENT)
    bounds = [
        job["configuration"]["query"]["maximumBytesBilled"] for job in jobs_started(emulator, STATEMENT.sql)
    ]
    assert bounds == [str(50 * MB), str(40 * MB)]


def test_a_query_that_fails_takes_nothing_of_the_budget(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    warehouse = opened(bigquery_settings)
    warehouse.jobs.ledger.reserve("of another", 5 * MB, None, None)
    wrong = Statement("a query", "SELECT ERROR('no') AS one")
    with emulator.proxy.intervene(billing(10 * MB, wrong.sql)), pytest.raises(Exception, match="no"):
        warehouse.jobs.query(wrong)
    assert written(warehouse)[-2:] == [("reserved", "test", "run", 10 * MB), ("billed", "test", "run", 0)]


@pytest.mark.parametrize(
    ("processed", "tables", "billed"),
    [(0, 3, 0), (1, 0, 10), (1, 3, 30), (11 * MB - 1, 1, 11), (3400 * MB, 1, 3400)],
)
def test_what_is_billed_is_whole_megabytes_and_ten_a_table_at_the_least(
    processed: int, tables: int, billed: int
) -> None:
    assert billable_bytes(processed, tables) == billed * MB
