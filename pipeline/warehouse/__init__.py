"""The warehouses in which releases are published and queried: DuckDB and BigQuery. Both implement one
protocol.

All SQL is written in BigQuery's dialect. The DuckDB warehouse translates it.
"""

from __future__ import annotations

import uuid

from pipeline.errors import UsageError
from pipeline.settings import Settings
from pipeline.warehouse.protocol import (
    Batch,
    Extraction,
    Failure,
    ReleaseTables,
    SourceFile,
    SourceTable,
    StagedRelease,
    Warehouse,
)
from pipeline.warehouse.query import SQL, Query, table_suffix

__all__ = [
    "RUN_ID",
    "SQL",
    "Batch",
    "Extraction",
    "Failure",
    "Query",
    "ReleaseTables",
    "SourceFile",
    "SourceTable",
    "StagedRelease",
    "Warehouse",
    "connect",
    "table_suffix",
]

RUN_ID = uuid.uuid4().hex
"""The id of this run of a `titler` command. All queries of the run share one budget.

The worker processes of the run get the same id.
"""


def connect(settings: Settings, verb: str, run: str = "", release_id: str | None = None) -> Warehouse:
    """Returns the warehouse that the settings choose.

    The BigQuery warehouse records what its queries cost, and stores three values with each cost. `verb` is
    the command, such as `publish`. `run` is an id that all processes of one run of the command share; the
    default is RUN_ID, the id of this process's run. `release_id` is the release that the command works on, or
    None.

    For DuckDB, raises UsageError if warehouse.path is not on this machine. For BigQuery, raises UsageError if
    warehouse.project is not set, or if there are no credentials that can be used.
    """
    if settings.warehouse.kind == "bigquery":
        from pipeline.warehouse.bigquery import BigQueryWarehouse

        return BigQueryWarehouse(settings.warehouse, verb, run or RUN_ID, release_id)
    path = settings.warehouse_path.removeprefix("file://")
    if "://" in path:
        raise UsageError(
            f"warehouse.path = {settings.warehouse_path}: DuckDB's warehouse file must be on this machine.",
            "Set warehouse.path to a local path.",
        )
    from pipeline.warehouse.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(path, settings.warehouse.memory_gib)
