"""A filter on the day of a view reaches the partitions of the tables: BigQuery prunes on constants that are
compared with the partitioning column itself, unless a window function or an aggregation lies in between.

The columns and scans are those of GoogleSQL's analyser. The engines that prune are tested where they run:
tests/warehouse/duckdb/test_one_day.py.
"""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from pipeline.contracts import TABLES
from pipeline.warehouse import Query
from tests.sql.googlesql import GoogleSQL

SIMILAR = ["similar_issues_v2", "similar_issues_v1"]
DAYS = {
    "views/title_predictions": ("source_day", ["title_predictions_v1"]),
    "views/similar_issues": ("source_day", SIMILAR),
    "views/near_duplicates": ("source_day", SIMILAR),
    "views/embeddings": ("source_day", ["embeddings_v1"]),
    "views/source_health": ("day", ["source_health_v1"]),
    "functions/title_predictions_at": ("source_day", ["title_predictions_v1"]),
}
"""The day's column of a view or a function, and the partitioned tables that it comes from, unchanged."""


def inlined(sql: str) -> list[str]:
    """A statement with its WITH clause in place. If that is a UNION ALL, one statement for each part."""
    statement = sqlglot.parse_one(sql, read="bigquery")
    assert isinstance(statement, exp.Query)
    if not statement.ctes:
        return [sql]
    (common,) = statement.ctes
    statements = []
    for part in common.this.find_all(exp.Select):
        copy = statement.copy()
        copy.set("with_", None)
        (reference,) = [table for table in copy.find_all(exp.Table) if table.name == common.alias]
        reference.replace(part.copy().subquery(reference.alias))
        statements.append(copy.sql(dialect="bigquery"))
    return statements


@pytest.mark.parametrize("name", DAYS)
def test_the_day_of_a_view_is_the_partitioning_column_of_its_tables(googlesql: GoogleSQL, name: str) -> None:
    column, tables = DAYS[name]
    assert {TABLES[table].day_column for table in tables} == {column}
    statements = inlined(Query.from_file(name).sql)
    assert [googlesql.origins(sql)[column] for sql in statements] == [(table, column) for table in tables]


@pytest.mark.parametrize("name", [*DAYS, "views/poor_titles", "functions/what_changed"])
def test_no_view_needs_the_history_to_decide_about_a_row(googlesql: GoogleSQL, name: str) -> None:
    sql = without_lookup_of_releases(Query.from_file(name).sql)
    assert googlesql.scans(sql) & {"analytic", "aggregate"} == set()


def without_lookup_of_releases(sql: str) -> str:
    """A function without the part that looks up the named releases. It reads only the small table of
    releases."""
    statement = sqlglot.parse_one(sql, read="bigquery")
    assert isinstance(statement, exp.Query)
    for common in statement.ctes:
        if {table.name for table in common.find_all(exp.Table)} == {"releases_v1"}:
            common.set("this", sqlglot.parse_one("SELECT 'r' AS release_id", read="bigquery"))
    return statement.sql(dialect="bigquery")


@pytest.mark.parametrize("query", Query.folder("checks"), ids=lambda query: query.stem)
def test_a_check_reads_a_partitioned_table_only_for_the_days_of_new_batches(query: Query) -> None:
    reads = sum(query.sql.count(f"\n  {name}") for name, table in TABLES.items() if table.day_column)
    reads += sum(query.sql.count(f"\n    {name}") for name, table in TABLES.items() if table.day_column)
    assert query.sql.count("IN UNNEST(@days)") + query.sql.count(">= @first_day") == reads


@pytest.mark.parametrize("folder", ["checks", "functions", "views"])
def test_nothing_reads_a_view_that_bigquery_allows_in_no_subquery_and_no_function(folder: str) -> None:
    recursive = {view.stem for view in Query.folder("views") if "WITH RECURSIVE" in view.sql}
    assert recursive == {"duplicate_clusters"}
    statements = [sqlglot.parse_one(query.sql, read="bigquery") for query in Query.folder(folder)]
    assert not recursive & {table.name for sql in statements for table in sql.find_all(exp.Table)}


def test_a_window_function_is_found(googlesql: GoogleSQL) -> None:
    sql = "SELECT RANK() OVER (ORDER BY batch_id) AS place FROM release_members_v1"
    assert "analytic" in googlesql.scans(sql)
