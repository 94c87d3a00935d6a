"""The BigQuery warehouse's own queries, for a source day's hours and for spending: rows in, rows out."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pipeline.contracts import SPEND
from pipeline.warehouse import Query
from tests.sql.engines import BOUNDS, Engine
from tests.sql.googlesql import Row
from tests.sql.worlds import in_order
from tests.warehouse.events import event

THIRD, FOURTH = date(2015, 1, 3), date(2015, 1, 4)


def test_the_hours_of_a_day_that_have_events(engine: Engine) -> None:
    events = [
        event("PushEvent", at=f"2015-01-03T{time}Z")
        for time in ("00:00:00", "05:00:00", "05:59:59", "23:59:59")
    ]
    events += [event("PushEvent", at=f"{year}-01-01T07:00:00Z") for year in (1969, 2262)]  # not counted
    rows = engine.scan(Query.from_file("source_hours").sql, events, **BOUNDS)
    assert in_order(rows) == [{"hour": 0, "events": 1}, {"hour": 23, "events": 1}, {"hour": 5, "events": 2}]


def spent(job_id: str, state: str, size: int, day: date = THIRD, run: str = "run1") -> Row:
    return {
        "job_id": job_id, "state": state, "at": datetime(2015, 1, 3, 5, tzinfo=UTC), "day": day, "run": run,
        "verb": "extract",
        "source_day": None, "release_id": None, "bytes": size, "usd": 0.0, "by": "someone",
    }  # fmt: skip


SPENT = {
    SPEND.name: [
        spent("billed-less", "reserved", 10),
        spent("billed-less", "billed", 3),
        spent("billed-nothing", "reserved", 100),
        spent("billed-nothing", "billed", 0),
        spent("still-reserved", "reserved", 20),
        spent("of-another-run", "billed", 1000, run="run2"),
        spent("of-the-run-after-midnight", "billed", 10_000, day=FOURTH),
        spent("of-neither", "billed", 100_000, day=FOURTH, run="run2"),
    ]
}


@pytest.mark.parametrize("name", ["googlesql", "emulator"])  # the embedded warehouse spends nothing
@pytest.mark.parametrize(
    ("day", "run", "expected"),
    [
        (THIRD, "run1", {"of_day": 3 + 20 + 1000, "of_run": 3 + 20 + 10_000}),
        (FOURTH, "run2", {"of_day": 110_000, "of_run": 101_000}),
        (date(2015, 1, 5), "run3", {"of_day": 0, "of_run": 0}),
    ],
)
def test_what_counts_against_the_budgets(
    request: pytest.FixtureRequest, name: str, day: date, run: str, expected: Row
) -> None:
    engine: Engine = request.getfixturevalue(f"{name}_engine")
    assert engine.rows(Query.from_file("spent").sql, SPENT, day=day, run=run) == [expected]
