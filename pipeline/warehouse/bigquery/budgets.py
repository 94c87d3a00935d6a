"""Keeps BigQuery queries within the budgets of the settings, and records their bytes in the table `spend_v1`.

Before a query runs, the bytes that BigQuery may bill for it are reserved. Afterwards the billed bytes replace
the reservation. A command first writes its reservation and then reads the total. So if two commands start at
the same time, both may be refused, but together they never exceed a budget. The small statements that write
and read this table are not counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from pipeline.contracts import SPEND
from pipeline.errors import BudgetError, DailyBudgetError, TitlerError
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
    job. It is the reserved bytes, plus the bytes that remain of the two budgets (per command and per day). If
    more bytes remain of one budget than of the other, the smaller number counts.
    """

    job_id: str
    bytes: int
    limit: int
    verb: str
    source_day: date | None
    release_id: str | None
    day: date


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
        self, job_id: str, count: int, source_day: date | None, release_id: str | None
    ) -> Reservation:
        """Reserves `count` bytes for the job `job_id`.

        Raises BudgetError, which names the setting and its value, if a budget would be exceeded. The error is
        a DailyBudgetError if the budget of the next UTC day will suffice.
        """
        today = datetime.now(UTC).date()
        reservation = Reservation(job_id, count, 0, self.verb, source_day, release_id, today)
        self._write(reservation, "reserved", count)
        try:
            spent = self.spent(today)
        except TitlerError:
            self.record_billed(reservation, 0)
            raise
        settings = self.settings
        budgets = [
            ("warehouse.max_bytes_per_run", settings.max_bytes_per_run, spent["of_run"], "this command"),
            ("warehouse.max_bytes_per_day", settings.max_bytes_per_day, spent["of_day"], f"{today} (UTC)"),
        ]
        for setting, budget, total, scope in budgets:
            if total > budget:
                self.record_billed(reservation, 0)
                work = f"the command {self.verb}" + (f" (day {source_day})" if source_day else "")
                remaining = format_bytes(max(budget - total + count, 0))
                message = (
                    f"BigQuery would bill {format_price(settings, count)}, for {work}, but only {remaining} "
                    f"of the budget remains for {scope}. The budget is {setting} = {budget:,} bytes "
                    f"({format_bytes(budget)}). The query was not run."
                )
                larger = f"TITLER_{setting.replace('.', '__').upper()}={_round_up(total)}"
                event = f"budget/{today}/{setting}"
                if scope != "this command" and count <= budget:
                    raise DailyBudgetError(
                        message,
                        f"Run the same command again after midnight UTC; Airflow does so by itself. "
                        f"To continue today, raise the budget: {larger}",
                        event=event,
                    )
                hint = f"Process fewer days, or raise the budget: {larger}"
                raise BudgetError(message, hint, event=event)
        remaining_bytes = min(budget - total for _, budget, total, _ in budgets)
        return replace(reservation, limit=remaining_bytes + count)

    def record_billed(self, reservation: Reservation, billed: int) -> None:
        """Records the bytes that BigQuery billed for a job. They replace the job's reserved bytes."""
        self._write(reservation, "billed", billed)

    def spent(self, day: date) -> dict[str, int]:
        """Returns how many bytes were billed or reserved so far. The key `of_day` counts all commands on the
        UTC day `day`, and `of_run` counts this run of the command."""
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
