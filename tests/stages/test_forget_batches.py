"""forget: the rows of batches that are written again."""

from __future__ import annotations

import pyarrow as pa

from pipeline.stages.forget_batches import close_ranks


def test_the_ranks_of_each_list_close_up_in_their_order() -> None:
    rows = pa.table(
        {
            "issue_id": [2, 1, 1, 1, 1],
            "list": ["everywhere", "everywhere", "repository", "repository", "repository"],
            "rank": [3, 2, 5, 1, 4],
        }
    )
    assert close_ranks(rows).column("rank").to_pylist() == [1, 1, 3, 1, 2]


def test_issues_of_an_earlier_version_have_one_list() -> None:
    rows = pa.table({"issue_id": [1, 2, 1], "rank": [2, 2, 4]})
    assert close_ranks(rows).column("rank").to_pylist() == [1, 1, 2]


def test_a_list_without_rows_has_no_ranks() -> None:
    rows = pa.table({"issue_id": pa.array([], pa.int64()), "rank": pa.array([], pa.int64())})
    assert len(close_ranks(rows)) == 0
