"""Keeps BigQuery queries within the budgets in the settings, and records their bytes in the table `spend_v1`.

Before a query runs, the bytes that BigQuery may bill for it are reserved. Afterwards the billed bytes replace
the reservation. A command first writes its reservation and then reads the total. So if two commands start at
the same time, both may be refused, but together they never exceed a budget. The small statements that write
and read `spend_v1` are not counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from pipeline.contracts import SPEND
from pipeline.errors import BudgetError, DailyBudgetError, OversizedDayError, TitlerError
from pipeline.provenance import user_name
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.price import format_bytes, format_price, usd
from pipeline.warehouse.query import Query
from pipeline.warehouse.sql_parser import replace_tables

Execute = Callable[[str, Mapping[str, Any]], list[dict[str, Any]]]
"""A function that runs a statement with its named parameters, and returns its rows."""


@dataclass(frozen=True)
class Reservation:
    """Bytes that are reserved for a BigQuery job.

    `bytes` is the number of reserved bytes. `limit` is the largest number of bytes that may be billed for the
    job: the reserved bytes, plus the bytes that are left in the budget. There are two budgets, one per
    command and one per day. The one that has fewer bytes left counts.
    """

    job_id: str
    bytes: int
    limit: int
    verb: str
    source_day: date | None
    release_id: str | None
    day: date


@dataclass(frozen=True)
class _Budget:
    """A budget for a command or for a day.

    `setting` is the name of its setting, and `bytes` is its size. `total` is the number of bytes that are
    billed or reserved so far. `scope` names the command or the day in messages.
    """

    setting: str
    bytes: int
    total: int
    scope: str

    def __str__(self) -> str:
        return f"{self.setting} = {self.bytes:,} bytes ({format_bytes(self.bytes)})"

    def raised_to(self, count: int) -> str:
        """Returns `NAME=VALUE`, an environment variable that raises this budget to at least `count` bytes."""
        return f"TITLER_{self.setting.replace('.', '__').upper()}={_round_up(count)}"


class SpendLedger:
    """Records in the table `spend_v1` what queries cost, and refuses queries that would exceed a budget.

    `verb` is the command that runs the queries, such as `extract`. `run` is the id of one run of this
    command. `execute` runs a SQL statement on this table.
    """

    def __init__(self, settings: Settings, verb: str, run: str, execute: Execute) -> None:
        self.settings = settings
        self.address = f"`{settings.project}.{settings.dataset}.{SPEND.name}`"
        self.verb = verb
        self.run = run or uuid.uuid4().hex
        self._execute = execute

    def reserve(
        self,
        job_id: str,
        count: int,
        source_day: date | None,
        release_id: str | None,
        billed_before: int = 0,
    ) -> Reservation:
        """Reserves `count` bytes for the job `job_id`. `billed_before` is the number of bytes that BigQuery
        has already billed for other jobs of the same source day (a day of GH Archive).

        If a budget would be exceeded, reserves nothing and raises BudgetError. The message has the name and
        the value of the budget's setting. The error is an OversizedDayError if the jobs of the source day
        alone need more than a whole budget. It is a DailyBudgetError if today's budget no longer suffices for
        the job, but the budget of the next UTC day will.
        """
        today = datetime.now(UTC).date()
        reservation = Reservation(job_id, count, 0, self.verb, source_day, release_id, today)
        self._write(reservation, "reserved", count)
        try:
            spent = self.spent(today)
        except TitlerError:
            self.record_billed(reservation, 0)
            raise
        budgets = self._budgets(spent, today)
        for budget in budgets:
            if budget.total > budget.bytes:
                self.record_billed(reservation, 0)
                if source_day and count + billed_before > min(limit.bytes for limit in budgets):
                    raise self._oversized_day(source_day, count + billed_before, budgets)
                raise self._exceeded(budget, count, source_day, today)
        remaining_bytes = min(budget.bytes - budget.total for budget in budgets)
        return replace(reservation, limit=remaining_bytes + count)

    def _budgets(self, spent: Mapping[str, int], today: date) -> list[_Budget]:
        settings = self.settings
        return [
            _Budget(
                "warehouse.max_bytes_per_run", settings.max_bytes_per_run, spent["of_run"], "this command"
            ),
            _Budget(
                "warehouse.max_bytes_per_day", settings.max_bytes_per_day, spent["of_day"], f"{today} (UTC)"
            ),
        ]

    def _exceeded(self, budget: _Budget, count: int, source_day: date | None, today: date) -> BudgetError:
        """Returns the error for a job of `count` bytes that would exceed a budget."""
        work = f"the command {self.verb}" + (f" (day {source_day})" if source_day else "")
        remaining = format_bytes(max(budget.bytes - budget.total + count, 0))
        message = (
            f"BigQuery would bill {format_price(self.settings, count)}, for {work}, but only {remaining} "
            f"of the budget remains for {budget.scope}. The budget is {budget}. The query was not run."
        )
        event = f"budget/{today}/{budget.setting}"
        larger = budget.raised_to(budget.total)
        if budget.scope != "this command" and count <= budget.bytes:
            return DailyBudgetError(
                message,
                f"Run the same command again after midnight UTC; Airflow does so by itself. "
                f"To continue today, raise the budget: {larger}",
                event=event,
            )
        return BudgetError(message, f"Process fewer days, or raise the budget: {larger}", event=event)

    def _oversized_day(self, source_day: date, count: int, budgets: Sequence[_Budget]) -> OversizedDayError:
        """Returns the error for a source day that needs `count` bytes, more than a whole budget."""
        too_small = [budget for budget in budgets if count > budget.bytes]
        price, names = format_price(self.settings, count), " and ".join(map(str, too_small))
        return OversizedDayError(
            f"{source_day}: BigQuery would bill {price} for this day alone, which is more than the whole "
            f"budget: {names}. The query was not run.",
            f"To extract {source_day}, set {' '.join(budget.raised_to(count) for budget in too_small)}",
            event=f"budget/{source_day}",
        )

    def record_billed(self, reservation: Reservation, billed: int) -> None:
        """Records the bytes that BigQuery billed for a job. They replace the job's reserved bytes."""
        self._write(reservation, "billed", billed)

    def spent(self, day: date) -> dict[str, int]:
        """Returns how many bytes are billed or reserved so far: `of_day` for all commands on the UTC day
        `day`, and `of_run` for this run of the command."""
        query = Query.from_file("spent", day=day, run=self.run)
        (row,) = self._execute(replace_tables(query.sql, {SPEND.name: self.address}), query.parameters)
        return {name: int(value) for name, value in row.items()}

    def _write(self, reservation: Reservation, state: str, count: int) -> None:
        row = {
            "job_id": reservation.job_id,
            "state": state,
            "at": datetime.now(UTC),
            "day": reservation.day,
            "run": self.run,
            "verb": reservation.verb,
            "source_day": reservation.source_day,
            "release_id": reservation.release_id,
            "bytes": count,
            "usd": usd(self.settings, count),
            "by": user_name(),
        }
        values = {name: row[name] for name in SPEND.schema.names if row[name] is not None}
        columns = ", ".join(f"`{name}`" for name in values)
        parameters = ", ".join(f"@{name}" for name in values)
        self._execute(f"INSERT INTO {self.address} ({columns}) VALUES ({parameters})", values)


def _round_up(count: int) -> int:
    """Rounds a number up to two significant digits, for example 1234 to 1300."""
    step = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // step) * step
