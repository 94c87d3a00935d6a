"""Rows of the warehouse's tables, each with the id of its batch."""

from __future__ import annotations

from datetime import date

from pipeline.contracts import Table
from tests.sql.googlesql import Row
from tests.warehouse.events import DAY


def batch(table: Table, batch_id: str, *rows: Row, day: date = DAY) -> list[Row]:
    """The rows of a batch."""
    source = {str(table.day_column): day}  # unless a row has its own
    return [{**source, **row, "batch_id": batch_id} for row in rows]


def member(
    release_id: str, table: Table, batch_id: str, day: date = DAY, rows: int = 1, model: str | None = None
) -> Row:
    """A row of release_members_v1."""
    return {
        "release_id": release_id,
        "table_name": table.name,
        "day": day,
        "batch_id": batch_id,
        "digest": "d",
        "rows": rows,
        "model": model,
    }


def in_order(rows: list[Row]) -> list[Row]:
    """Sorted rows, to compare rows that have no order."""
    return sorted(rows, key=str)
