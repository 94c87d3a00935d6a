"""Descriptions of the columns of views: from the contracts, and from the comment of the statement."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.errors import UsageError
from pipeline.warehouse import Query
from pipeline.warehouse.view_columns import ViewColumn, columns_of

STATEMENT = """\
-- Grain: one row per issue.
--
-- Column number: the issue's number,
--   from its address.
-- Column abstained: see title_predictions
--
-- Another paragraph.
WITH shown AS (SELECT t.issue_id, t.repo, 1 AS number, TRUE AS abstained FROM title_predictions_v1 AS t)
SELECT s.issue_id, s.number, s.abstained, r.release_id
FROM shown AS s
JOIN releases_v1 AS r ON r.status = 'current'
"""


def test_a_column_of_a_table_is_described_by_its_contract_and_others_by_the_statement() -> None:
    assert columns_of(Query("q", STATEMENT)) == {
        "issue_id": ViewColumn("GitHub's id of the issue, unique among all issues", pa.int64()),
        "number": ViewColumn("the issue's number, from its address", None),
        "abstained": ViewColumn(
            "whether no title is shown: the model gave none, or the release withholds its titles", None
        ),
        "release_id": ViewColumn("name of the release: the time when it was created", pa.string()),
    }


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("-- Column number", "-- The number", r"sql/q\.sql: the column number has no description"),
        ("s.number", "s.number AS issue", r"sql/q\.sql: the column issue has no description"),
        ("s.number, ", "", r"describes columns that the statement does not have: number"),
    ],
    ids=["computed", "renamed", "removed"],
)
def test_a_column_without_a_description_is_refused(before: str, after: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        columns_of(Query("q", STATEMENT.replace(before, after)))


@pytest.mark.parametrize("folder", ["views", "functions"])
def test_every_column_of_a_view_or_function_is_described(folder: str) -> None:
    for query in Query.folder(folder):
        assert all(column.prose for column in columns_of(query).values()), query.name
