"""The warehouses that the contract suite holds to the same behaviour."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import settings
from pipeline.warehouse import Warehouse, connect


@pytest.fixture(params=["duckdb"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    return connect(settings.Warehouse(kind=request.param), str(tmp_path / "lake" / "warehouse.duckdb"))
