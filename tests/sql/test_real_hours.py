"""On two real hours of GH Archive the three engines extract the same rows."""

from __future__ import annotations

import pytest

from tests.sql.conftest import RealHours
from tests.sql.engines import Engine


@pytest.mark.parametrize(
    ("name", "issues", "trainable"), [("2015-01-01-1", 218, 142), ("2015-01-01-12", 236, 129)]
)
def test_the_rows_of_an_hour(
    engine: Engine, duckdb_engine: Engine, real_hours: RealHours, name: str, issues: int, trainable: int
) -> None:
    rows = engine.issues(real_hours[name])
    assert rows == duckdb_engine.issues(real_hours[name])
    assert (len(rows), sum(row["trainable"] for row in rows)) == (issues, trainable)
    assert engine.malformed(real_hours[name]) == []
