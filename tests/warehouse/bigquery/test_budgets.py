"""Nothing is spent beyond the budgets, and everything that is spent is written down."""

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
from tests.warehouse.bigquery.conversation import costing, jobs_started

MB = 2**20  # what BigQuery rounds to; it bills 10 of them at the least
ONE = Statement("a question", "SELECT 1 AS one")


def opened(settings: Settings, run: str = "run", /, **budgets: int) -> BigQueryWarehouse:
    house = BigQueryWarehouse(settings.model_copy(update=budgets), "test", run)
    house.tables.ensure(SPEND)
    return house


def written(house: BigQueryWarehouse) -> list[tuple[Any, ...]]:
    return [
        (row["state"], row["verb"], row["run"], row["bytes"])
        for row in house.tables.all_rows(SPEND.name) or []
    ]


def test_a_query_is_reserved_before_it_runs_and_billed_after(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    house = opened(bigquery_settings)
    with emulator.proxy.intervene(costing(10 * MB, ONE.sql)):
        house.jobs.query(ONE)
    assert written(house) == [("reserved", "test", "run", 10 * MB), ("billed", "test", "run", 10 * MB)]


def test_what_it_costs_is_printed_before(
    bigquery_settings: Settings, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    house = opened(bigquery_settings)
    with emulator.proxy.intervene(costing(3_400_000_000, ONE.sql)):
        house.jobs.query(ONE)
    assert "    BigQuery: a question: 3.4 GB, $0.02\n" in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["max_bytes_per_run", "max_bytes_per_day"])
def test_a_query_over_a_budget_is_refused_before_it_runs(
    bigquery_settings: Settings, emulator: Emulator, setting: str
) -> None:
    house = opened(bigquery_settings, **{setting: 10 * MB - 1})
    with emulator.proxy.intervene(costing(10 * MB, ONE.sql)), pytest.raises(BudgetError) as raised:
        house.jobs.query(ONE)
    assert f"10.5 MB of warehouse.{setting} = 10,485,759 bytes (10.5 MB) remains" in raised.value.message
    assert "The query was not run." in raised.value.message
    assert f"TITLER_WAREHOUSE__{setting.upper()}=11000000;" in raised.value.hint
    assert raised.value.event == f"budget/{datetime.now(UTC).date()}/warehouse.{setting}"
    assert jobs_started(emulator, ONE.sql) == []
    assert written(house) == [
        ("reserved", "test", "run", 10 * MB),
        ("billed", "test", "run", 0),
    ]  # what was refused takes nothing


def test_a_day_is_shared_by_its_commands_and_a_run_by_its_processes(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    with emulator.proxy.intervene(costing(60 * MB, ONE.sql)):
        opened(bigquery_settings, "first").jobs.query(ONE)
        with pytest.raises(BudgetError, match=r"41\.9 MB of warehouse\.\w+ = .* remains"):
            opened(bigquery_settings, "second", max_bytes_per_day=100 * MB).jobs.query(ONE)
        with pytest.raises(BudgetError, match=r"41\.9 MB of warehouse\.\w+ = .* remains"):
            opened(bigquery_settings, "first", max_bytes_per_run=100 * MB).jobs.query(ONE)
        opened(bigquery_settings, "second", max_bytes_per_run=100 * MB).jobs.query(ONE)


def test_two_that_begin_together_never_overspend_together(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    house = opened(bigquery_settings, max_bytes_per_day=100 * MB)
    house.jobs.ledger.reserve("of another", 60 * MB, None, None)  # reserved, and not yet billed
    with emulator.proxy.intervene(costing(60 * MB, ONE.sql)), pytest.raises(BudgetError):
        house.jobs.query(ONE)


def test_the_most_that_a_job_may_bill_is_what_the_budget_has_left(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    house = opened(bigquery_settings, max_bytes_per_run=50 * MB, max_bytes_per_day=80 * MB)
    with emulator.proxy.intervene(costing(10 * MB, ONE.sql)):
        house.jobs.query(ONE)
        house.jobs.query(ONE)
    bounds = [job["configuration"]["query"]["maximumBytesBilled"] for job in jobs_started(emulator, ONE.sql)]
    assert bounds == [str(50 * MB), str(40 * MB)]


def test_a_query_that_fails_takes_nothing_of_the_budget(
    bigquery_settings: Settings, emulator: Emulator
) -> None:
    house = opened(bigquery_settings)
    house.jobs.ledger.reserve("of another", 5 * MB, None, None)
    wrong = Statement("a question", "SELECT ERROR('no') AS one")
    with emulator.proxy.intervene(costing(10 * MB, wrong.sql)), pytest.raises(Exception, match="no"):
        house.jobs.query(wrong)
    assert written(house)[-2:] == [("reserved", "test", "run", 10 * MB), ("billed", "test", "run", 0)]


@pytest.mark.parametrize(
    ("processed", "tables", "billed"),
    [(0, 3, 0), (1, 0, 10), (1, 3, 30), (11 * MB - 1, 1, 11), (3400 * MB, 1, 3400)],
)
def test_what_is_billed_is_whole_megabytes_and_ten_a_table_at_the_least(
    processed: int, tables: int, billed: int
) -> None:
    assert billable_bytes(processed, tables) == billed * MB
