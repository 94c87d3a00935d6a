"""What queries cost, and the budgets that they keep to.

A query's bytes are reserved in the table `spend_v1` before it runs and replaced by what was billed after it. Who reserves writes first
and looks then, so two commands that begin together can both be refused but never overspend together. The ledger's own statements
(an INSERT of one row, a sum over a small table) are not counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from pipeline.contracts import SPEND
from pipeline.errors import BudgetError, TitlerError
from pipeline.provenance import user_name
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse import Query
from pipeline.warehouse.dialect import renamed
from pipeline.warehouse.price import priced, size, usd

Run = Callable[[str, Mapping[str, Any]], list[dict[str, Any]]]
"""Runs a statement with its named parameters; its rows."""


@dataclass(frozen=True)
class Reservation:
    """Bytes set aside for a job. `left` is what it may have billed: no less than `bytes`."""

    job_id: str
    bytes: int
    left: int
    verb: str
    source_day: date | None
    release_id: str | None
    day: date


class Ledger:
    """The table `spend_v1` of one data set, and the budgets of the settings. `run` is one command's name."""

    def __init__(self, settings: Settings, verb: str, run: str, execute: Run) -> None:
        self.settings = settings
        self.address = f"`{settings.project}.{settings.dataset}.{SPEND.name}`"
        self.verb = verb
        self.run = run or uuid.uuid4().hex
        self._execute = execute

    def reserve(
        self, job_id: str, count: int, source_day: date | None, release_id: str | None
    ) -> Reservation:
        """Sets bytes aside. Raises BudgetError, with the figure and the setting's name, where they are more than is left."""
        today = datetime.now(UTC).date()
        reservation = Reservation(job_id, count, 0, self.verb, source_day, release_id, today)
        self._write(reservation, "reserved", count)
        try:
            spent = self.spent(today)
        except TitlerError:
            self.settle(reservation, 0)
            raise
        budgets = {
            "warehouse.max_bytes_per_run": (self.settings.max_bytes_per_run, spent["of_run"], "this command"),
            "warehouse.max_bytes_per_day": (
                self.settings.max_bytes_per_day,
                spent["of_day"],
                f"{today} (UTC)",
            ),
        }
        for setting, (budget, taken, whose) in budgets.items():
            if taken > budget:
                self.settle(reservation, 0)
                what = f"{self.verb} of {source_day}" if source_day else self.verb
                left = size(max(budget - taken + count, 0))
                raise BudgetError(
                    f"{what} would have {priced(self.settings, count)} billed, and of {setting} = {budget:,} bytes ({size(budget)}) "
                    f"{whose} has {left} left. It was not run.",
                    f"Raise it: TITLER_{setting.replace('.', '__').upper()}={_above(taken)}; or ask for fewer days.",
                    event=f"budget/{today}/{setting}",
                )
        return replace(reservation, left=min(budget - taken for budget, taken, _ in budgets.values()) + count)

    def settle(self, reservation: Reservation, billed: int) -> None:
        """Replaces what was reserved by what was billed."""
        self._write(reservation, "billed", billed)

    def spent(self, day: date) -> dict[str, int]:
        """Bytes that count, `of_day` and `of_run`."""
        query = Query.from_file("spent", day=day, run=self.run)
        (row,) = self._execute(renamed(query.sql, {SPEND.name: self.address}), query.parameters)
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
        columns = SPEND.schema.names
        given = [name for name in columns if row[name] is not None]
        values = ", ".join(f"@{name}" for name in given)
        names = ", ".join(f"`{name}`" for name in given)
        self._execute(
            f"INSERT INTO {self.address} ({names}) VALUES ({values})", {name: row[name] for name in given}
        )


def _above(count: int) -> int:
    """A round budget that holds `count` bytes."""
    step = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // step) * step
