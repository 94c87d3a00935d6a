"""Nothing is spent beyond the budgets, and everything that is spent is written down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.contracts import SPEND
from pipeline.errors import BudgetError
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery import BigQueryWarehouse
from pipeline.warehouse.bigquery.jobs import Statement
from tests.emulator import Emulator
from tests.warehouse.bigquery.conversation import costing, jobs_started

ONE = Statement("a question", "SELECT 1 AS one")


def opened(settings: Settings, run: str = "run", /, **budgets: int) -> BigQueryWarehouse:
    house = BigQueryWarehouse(settings.model_copy(update=budgets), "test", run)
    house.tables.ensure(SPEND)
    return house


def written(house: BigQueryWarehouse) -> list[tuple[Any, ...]]:
    return [(row["state"], row["verb"], row["run"], row["bytes"]) for row in house.tables.all_rows(SPEND.name) or []]


def test_a_query_is_reserved_before_it_runs_and_billed_after(bigquery_settings: Settings, emulator: Emulator) -> None:
    house = opened(bigquery_settings)
    with emulator.proxy.intervene(costing(1000, ONE.sql)):
        house.jobs.query(ONE)
    assert written(house) == [("reserved", "test", "run", 1000), ("billed", "test", "run", 1000)]


def test_what_it_costs_is_printed_before(bigquery_settings: Settings, emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    house = opened(bigquery_settings)
    with emulator.proxy.intervene(costing(3_400_000_000, ONE.sql)):
        house.jobs.query(ONE)
    assert "    BigQuery: a question: 3.4 GB, $0.02\n" in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["max_bytes_per_run", "max_bytes_per_day"])
def test_a_query_over_a_budget_is_refused_before_it_runs(bigquery_settings: Settings, emulator: Emulator, setting: str) -> None:
    house = opened(bigquery_settings, **{setting: 999})
    with emulator.proxy.intervene(costing(1000, ONE.sql)), pytest.raises(BudgetError) as raised:
        house.jobs.query(ONE)
    assert f"of warehouse.{setting} = 999 bytes (999 B)" in raised.value.message
    assert "has 999 B left. Nothing was run." in raised.value.message
    assert f"TITLER_WAREHOUSE__{setting.upper()}=1000;" in raised.value.hint
    assert raised.value.event == f"budget/{datetime.now(UTC).date()}/warehouse.{setting}"
    assert jobs_started(emulator, ONE.sql) == []
    assert written(house) == [("reserved", "test", "run", 1000), ("billed", "test", "run", 0)]  # what was refused takes nothing


def test_a_day_is_shared_by_its_commands_and_a_run_by_its_processes(bigquery_settings: Settings, emulator: Emulator) -> None:
    with emulator.proxy.intervene(costing(600, ONE.sql)):
        opened(bigquery_settings, "first").jobs.query(ONE)
        with pytest.raises(BudgetError, match="has 400 B left"):
            opened(bigquery_settings, "second", max_bytes_per_day=1000).jobs.query(ONE)
        with pytest.raises(BudgetError, match="has 400 B left"):
            opened(bigquery_settings, "first", max_bytes_per_run=1000).jobs.query(ONE)
        opened(bigquery_settings, "second", max_bytes_per_run=1000).jobs.query(ONE)


def test_two_that_begin_together_never_overspend_together(bigquery_settings: Settings, emulator: Emulator) -> None:
    house = opened(bigquery_settings, max_bytes_per_day=1000)
    house.jobs.ledger.reserve("of another", 600, None, None)  # reserved, and not yet billed
    with emulator.proxy.intervene(costing(600, ONE.sql)), pytest.raises(BudgetError):
        house.jobs.query(ONE)


def test_the_most_that_a_job_may_bill_is_what_the_budget_has_left(bigquery_settings: Settings, emulator: Emulator) -> None:
    house = opened(bigquery_settings, max_bytes_per_run=50_000, max_bytes_per_day=80_000)
    with emulator.proxy.intervene(costing(1000, ONE.sql)):
        house.jobs.query(ONE)
        house.jobs.query(ONE)
    bounds = [job["configuration"]["query"]["maximumBytesBilled"] for job in jobs_started(emulator, ONE.sql)]
    assert bounds == ["50000", "49000"]


def test_a_query_that_fails_takes_nothing_of_the_budget(bigquery_settings: Settings, emulator: Emulator) -> None:
    house = opened(bigquery_settings)
    house.jobs.ledger.reserve("of another", 5, None, None)
    wrong = Statement("a question", "SELECT ERROR('no') AS one")
    with emulator.proxy.intervene(costing(1000, wrong.sql)), pytest.raises(Exception, match="no"):
        house.jobs.query(wrong)
    assert written(house)[-2:] == [("reserved", "test", "run", 1000), ("billed", "test", "run", 0)]
