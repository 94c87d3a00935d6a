"""Slices of the table of events: where they end, and that a day has the same result in one or in many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import TitlerError
from pipeline.warehouse.duckdb import DuckDBWarehouse, event_slices
from pipeline.warehouse.duckdb.event_slices import SLICE_BYTES, VECTOR_ROWS, slice_ends
from tests.warehouse.events import DAY, EXTRACT, commented, opened, write_hour

HALF = SLICE_BYTES // 2


@pytest.mark.parametrize(
    ("lengths", "ends"),
    [
        ([], []),
        ([5, 5, 5], [3]),
        ([HALF, HALF, 1, HALF], [2, 4]),
        ([3 * HALF, 3 * HALF, 1], [1, 2, 3]),
        ([HALF, *[0] * VECTOR_ROWS, HALF, HALF], [VECTOR_ROWS + 3]),
        ([HALF, *[0] * VECTOR_ROWS, HALF, HALF, 1], [VECTOR_ROWS + 3, VECTOR_ROWS + 4]),
    ],
)
def test_where_slices_end(lengths: list[int], ends: list[int]) -> None:
    assert slice_ends(np.array(lengths, dtype=np.int64)) == ends


def extract(files: list[Path]) -> tuple[Any, ...]:
    extraction = DuckDBWarehouse("nowhere").extract(EXTRACT, DAY, files)
    return (
        extraction.issues.read_all().to_pylist(),
        extraction.comments.to_pylist(),
        extraction.malformed.to_pylist(),
        extraction.omitted_malformed,
        extraction.malformed_issues,
    )


def test_a_day_has_the_same_result_in_one_slice_or_in_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_hour(
        tmp_path,
        opened(2, event_id="9", at="2015-01-03T05:30:00Z", title="later opening of the first issue"),
        opened(1, event_id="8", title=None),
        opened(2, event_id="10", at="2015-01-03T05:10:00Z", title="the first opening counts"),
        commented("Duplicate of #12", event_id="30"),
        opened(3, event_id="11", at="2015-01-03T05:05:00Z"),
        opened(1, event_id="8", title=None),
        commented("Duplicate of #12", event_id="30", at="2015-01-03T05:00:00Z"),
        b"not JSON",
    )
    in_one = extract(files)
    assert [row["issue_id"] for row in in_one[0]] == [3, 2]
    assert [row["line"] for row in in_one[2]] == [2, 6, 8]
    monkeypatch.setattr(event_slices, "SLICE_BYTES", 1)
    assert extract(files) == in_one


def test_a_day_that_needs_more_than_the_memory_of_the_settings_is_an_error(tmp_path: Path) -> None:
    bodies = [opened(number, event_id=str(number), body="a " * 500_000) for number in range(24)]
    warehouse = DuckDBWarehouse("nowhere", memory_gib=0.25)
    with pytest.raises(TitlerError, match=r"^DuckDB ran out of space while reading"):
        warehouse.extract(EXTRACT, DAY, write_hour(tmp_path, *bodies))
    assert warehouse.extract(EXTRACT, DAY, write_hour(tmp_path, opened(1))).events == 1


def test_the_payload_of_an_issue_or_a_comment_has_a_limit(tmp_path: Path) -> None:
    long_push = {**opened(4, body="x" * 2**20), "type": "PushEvent"}
    files = write_hour(
        tmp_path,
        opened(1, body="😀" * 65_536),
        opened(2, body="x" * 2**20),
        commented("duplicate of #1 " * 2**16, event_id="30"),
        long_push,
        json.dumps(opened(3)).encode() + b" " * 2**20,
    )
    issues, comments, malformed, _, malformed_issues = extract(files)
    assert [row["issue_id"] for row in issues] == [1, 3]
    assert comments == []
    assert [(row["line"], row["reason"]) for row in malformed] == [
        (2, "payload has 1,048,706 bytes, expected at most 1,048,576"),
        (3, "payload has 1,048,928 bytes, expected at most 1,048,576"),
    ]
    assert malformed_issues == 1
