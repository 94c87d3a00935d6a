"""A filter on the day of a view reaches the partitions of the tables: BigQuery prunes on constants that are
compared with the partitioning column itself, unless a window function or an aggregation lies in between.

The columns and scans are those of GoogleSQL's analyser. The engines that prune are tested where they run:
tests/warehouse/duckdb/test_one_day.py.
"""

from __future__ import annotations

import pytest

from pipeline.contracts import TABLES
from pipeline.warehouse import Query
from tests.sql.googlesql import GoogleSQL

DAYS = {
    "views/title_predictions": ("title_predictions_v1", "source_day"),
    "views/similar_issues": ("similar_issues_v1", "source_day"),
    "views/near_duplicates": ("similar_issues_v1", "source_day"),
    "views/embeddings": ("embeddings_v1", "source_day"),
    "views/source_health": ("source_health_v1", "day"),
    "functions/title_predictions_at": ("title_predictions_v1", "source_day"),
}
"""The partitioned table and its column that the day of a view or a function comes from, unchanged."""


@pytest.mark.parametrize("name", DAYS)
def test_the_day_of_a_view_is_the_partitioning_column_of_its_table(googlesql: GoogleSQL, name: str) -> None:
    table, column = DAYS[name]
    assert TABLES[table].day_column == column
    assert googlesql.origins(Query.from_file(name).sql)[column] == (table, column)


@pytest.mark.parametrize("name", [*DAYS, "views/poor_titles", "functions/what_changed"])
def test_no_view_needs_the_history_to_decide_about_a_row(googlesql: GoogleSQL, name: str) -> None:
    assert googlesql.scans(Query.from_file(name).sql) & {"analytic", "aggregate"} == set()


@pytest.mark.parametrize("query", Query.folder("checks"), ids=lambda query: query.stem)
def test_a_check_reads_a_partitioned_table_only_for_the_days_of_new_batches(query: Query) -> None:
    reads = sum(query.sql.count(f"\n  {name}") for name, table in TABLES.items() if table.day_column)
    reads += sum(query.sql.count(f"\n    {name}") for name, table in TABLES.items() if table.day_column)
    assert query.sql.count("IN UNNEST(@days)") == reads


def test_a_window_function_is_found(googlesql: GoogleSQL) -> None:
    sql = "SELECT RANK() OVER (ORDER BY batch_id) AS place FROM release_members_v1"
    assert "analytic" in googlesql.scans(sql)
