"""Where releases are published and queried: one protocol, implemented with DuckDB and with BigQuery.

All SQL is in BigQuery's dialect. The embedded DuckDB warehouse translates it.
"""

from __future__ import annotations

import uuid

from pipeline.errors import UsageError
from pipeline.settings import Settings
from pipeline.warehouse.protocol import Batch, Extraction, Failure, SourceTable, StagedRelease, Warehouse
from pipeline.warehouse.query import SQL, Query, table_suffix

__all__ = [
    "RUN_ID",
    "SQL",
    "Batch",
    "Extraction",
    "Failure",
    "Query",
    "SourceTable",
    "StagedRelease",
    "Warehouse",
    "connect",
    "table_suffix",
]

RUN_ID = uuid.uuid4().hex
"""Identifies one command, whose queries share a budget. Passed on to the command's processes."""


def connect(settings: Settings, verb: str, run: str = "", release_id: str | None = None) -> Warehouse:
    """The warehouse that the settings name.

    What it spends is recorded under `verb`, `release_id` and `run`, the command's id (default: RUN_ID).
    Raises UsageError if warehouse.path is not a path on this machine, or if BigQuery's project is not set.
    """
    if settings.warehouse.kind == "bigquery":
        from pipeline.warehouse.bigquery import BigQueryWarehouse

        return BigQueryWarehouse(settings.warehouse, verb, run or RUN_ID, release_id)
    path = settings.warehouse_path.removeprefix("file://")
    if "://" in path:
        raise UsageError(
            f"warehouse.path = {settings.warehouse_path}: DuckDB's file lies on this machine.",
            "Set warehouse.path to a local path.",
        )
    from pipeline.warehouse.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(path)
