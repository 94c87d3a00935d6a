"""Each check finds the same rows in the three engines: its own fault, and no fault of another release."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.contracts import (
    RELEASE_MEMBERS,
    RELEASES,
    SIMILAR_ISSUES,
    SOURCE_HEALTH,
    SUPERSEDED_OPENINGS,
    TITLE_PREDICTIONS,
)
from pipeline.warehouse import Query
from tests.sql.differences import accepted
from tests.sql.engines import Engine
from tests.sql.googlesql import Row, Tables
from tests.sql.test_checks import FAULTS, Fault
from tests.sql.worlds import batch, member
from tests.warehouse.events import DAY, health, neighbour, prediction, release

CHECKS = [query.name for query in Query.folder("checks")]


def members(name: str, **rows: int) -> list[Row]:
    """The members of a healthy release. `rows` overrides the row counts of their manifests."""
    counts = {"t1": 3, "s1": 3, "h1": 1, **rows}
    batches = {"t1": TITLE_PREDICTIONS, "s1": SIMILAR_ISSUES, "h1": SOURCE_HEALTH}
    return [member(name, table, batch_id, rows=counts[batch_id]) for batch_id, table in batches.items()]


MEMBERS: list[tuple[str, str, list[Row], list[Row]]] = [  # check, release, its members, the expected rows
    (
        "members_rows",
        "other-count",
        members("other-count", t1=4),
        [{"table_name": "title_predictions_v1", "day": DAY, "batch_id": "t1", "expected": 4, "found": 3}],
    ),
    (
        "members_rows",
        "never-arrived",
        [*members("never-arrived"), member("never-arrived", SIMILAR_ISSUES, "s2", rows=2)],
        [{"table_name": "similar_issues_v2", "day": DAY, "batch_id": "s2", "expected": 2, "found": 0}],
    ),
    (
        "members_rows",
        "of-another-table",
        [*members("of-another-table"), member("of-another-table", SIMILAR_ISSUES, "t1", rows=3)],
        [{"table_name": "similar_issues_v2", "day": DAY, "batch_id": "t1", "expected": 3, "found": 0}],
    ),
    (
        "members_key",
        "named-twice",
        [*members("named-twice"), member("named-twice", TITLE_PREDICTIONS, "t1", rows=3)],
        [{"table_name": "title_predictions_v1", "batch_id": "t1", "found": 2}],
    ),
]

# The younger issue 21 is a neighbour of issue 20. One of the two was recorded again on the next day, with an
# earlier time, which counts.
TWICE = {
    "issue-twice": [
        [prediction(20, created_at=datetime(2015, 1, 3, 5, 20, tzinfo=UTC)), prediction(21)],
        [prediction(20, created_at=datetime(2015, 1, 3, 5, 10, tzinfo=UTC))],
    ],
    "neighbour-twice": [
        [prediction(20), prediction(21, created_at=datetime(2015, 1, 3, 5, 30, tzinfo=UTC))],
        [prediction(21, created_at=datetime(2015, 1, 3, 5, 10, tzinfo=UTC))],
    ],
}
SUPERSEDED = {"issue-twice": 20, "neighbour-twice": 21}


def world() -> Tables:
    """Healthy releases and one for each fault, with all their batches in the same tables."""
    tables: dict[str, list[Row]] = {
        TITLE_PREDICTIONS.name: batch(
            TITLE_PREDICTIONS,
            "t1",
            prediction(1),
            prediction(2, predicted_title="", abstained=True),
            prediction(3),
        ),
        SIMILAR_ISSUES.name: batch(
            SIMILAR_ISSUES, "s1", neighbour(2, 1), neighbour(3, 2, 1), neighbour(3, 1, 2)
        ),
        SOURCE_HEALTH.name: batch(SOURCE_HEALTH, "h1", health()),
        RELEASES.name: [release("healthy"), *(release(name, "published") for _, name, _, _ in MEMBERS)],
        SUPERSEDED_OPENINGS.name: [],
        RELEASE_MEMBERS.name: [*members("healthy"), *(row for _, _, rows, _ in MEMBERS for row in rows)],
    }
    for number, fault in enumerate(FAULTS):
        name = f"fault-{number}"
        tables.setdefault(fault.table.name, []).extend(batch(fault.table, f"bad-{number}", *fault.rows))
        tables[RELEASES.name].append(release(name, "published"))
        bad = member(name, fault.table, f"bad-{number}", rows=len(fault.rows))
        tables[RELEASE_MEMBERS.name] += [*members(name), bad]
    for name, batches in TWICE.items():
        tables[RELEASES.name].append(release(name, "published"))
        tables[SIMILAR_ISSUES.name] += batch(SIMILAR_ISSUES, f"s-{name}", neighbour(20, 21))
        tables[RELEASE_MEMBERS.name].append(member(name, SIMILAR_ISSUES, f"s-{name}"))
        superseded = {"release_id": name, "day": DAY, "issue_id": SUPERSEDED[name]}
        tables[SUPERSEDED_OPENINGS.name].append(superseded)
        for number, predictions in enumerate(batches):
            day = DAY + timedelta(number)
            rows = [{**row, "source_day": day} for row in predictions]
            tables[TITLE_PREDICTIONS.name] += batch(TITLE_PREDICTIONS, f"t-{name}-{number}", *rows)
            tables[RELEASE_MEMBERS.name].append(
                member(name, TITLE_PREDICTIONS, f"t-{name}-{number}", day, len(predictions))
            )
    return tables


WORLD = world()


def rows(engine: Engine, check: str, release_id: str) -> list[dict[str, Any]]:
    """What a check finds if all batches of a release are new."""
    new = [row for row in WORLD[RELEASE_MEMBERS.name] if row["release_id"] == release_id]
    days, batches = (sorted({row[name] for row in new}) for name in ("day", "batch_id"))
    values = {"release": release_id, "days": days, "first_day": days[0], "batches": batches}
    return engine.rows(Query.from_file(check).sql, WORLD, **values)


@pytest.mark.parametrize("check", CHECKS)
def test_a_healthy_release_passes(engine: Engine, check: str) -> None:
    assert rows(engine, check, "healthy") == []


@pytest.mark.parametrize("release_id", TWICE)
def test_only_the_earliest_opening_of_an_issue_is_compared(engine: Engine, release_id: str) -> None:
    assert rows(engine, "checks/similar_issues_younger", release_id) == []


@pytest.mark.parametrize(
    ("number", "fault"), list(enumerate(FAULTS)), ids=[f"{fault.check}: {fault.case}" for fault in FAULTS]
)
def test_a_fault_is_found(engine: Engine, number: int, fault: Fault) -> None:
    rows_found = rows(engine, f"checks/{fault.check}", f"fault-{number}")
    assert [{**row, "batch_id": "bad"} for row in rows_found] == accepted(
        engine.name, fault.case, fault.rows_found
    )


@pytest.mark.parametrize(
    ("check", "release_id", "_", "expected"), MEMBERS, ids=[name for _, name, _, _ in MEMBERS]
)
def test_a_fault_of_its_members_is_found(
    engine: Engine, check: str, release_id: str, _: object, expected: list[Row]
) -> None:
    assert rows(engine, f"checks/{check}", release_id) == expected
