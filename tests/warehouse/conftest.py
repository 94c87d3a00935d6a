"""The warehouse that the contract suite holds to its protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.warehouse import Warehouse
from pipeline.warehouse.duckdb import DuckDBWarehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return DuckDBWarehouse(str(tmp_path / "lake" / "warehouse.duckdb"))
