"""BigQuery's SQL in, DuckDB's rows out: one literal case for each rule that is added to sqlglot's."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from pipeline import contracts
from pipeline.errors import UsageError
from pipeline.warehouse import Query
from pipeline.warehouse.duckdb.differences_from_bigquery import scan_condition, translate
from pipeline.warehouse.sql_parser import table_function


def rows(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE events AS "
        "SELECT * FROM (VALUES ('150101', 'a'), ('150102', 'b')) AS t (_TABLE_SUFFIX, type)"
    )
    return connection.execute(translate(sql).sql, parameters).fetchall()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT JSON_VALUE('{\"a\": 1', '$.a')", None),  # malformed: DuckDB itself would abort
        ("SELECT JSON_QUERY('{', '$.a')", None),
        (
            r"""SELECT JSON_VALUE('{"a": "q\\"\\n\\u00e9"}', '$.a')""",
            'q"\né',
        ),  # the content, without quotes and escapes
        ("""SELECT JSON_VALUE('{"a": {"b": 1}}', '$.a')""", None),  # not a scalar
        ("""SELECT JSON_VALUE('{"a": [1]}', '$.a')""", None),
        ("""SELECT JSON_VALUE('{"a": null}', '$.a')""", None),
        ("""SELECT JSON_VALUE('{"a": true}', '$.a')""", "true"),
        ("""SELECT JSON_EXTRACT_SCALAR('{"a": 12}', '$.a')""", "12"),
        ("""SELECT JSON_QUERY('{"a": null}', '$.a')""", None),  # DuckDB itself returns the JSON null
        ("""SELECT JSON_EXTRACT('{"a": null}', '$.a')""", None),
        ("""SELECT JSON_QUERY('{"a": "null"}', '$.a')""", '"null"'),
        ("""SELECT JSON_QUERY('{"a": {"b":1}}', '$.a')""", '{"b":1}'),
        ("""SELECT SAFE_CAST(JSON_QUERY('{"a": 12}', '$.a') AS INT64)""", 12),
        ("""SELECT SAFE_CAST(JSON_QUERY('{"a": "12"}', '$.a') AS INT64)""", None),  # text with its quotes
        ("""SELECT SAFE_CAST(JSON_QUERY('{"a": 7.5}', '$.a') AS INT64)""", None),
        ("""SELECT SAFE_CAST(JSON_VALUE('{"a": "7.0"}', '$.a') AS INT64)""", None),
        ("""SELECT SAFE_CAST(JSON_VALUE('{"a": " -12 "}', '$.a') AS INT64)""", -12),
        ("SELECT SAFE_CAST('1e3' AS INT64)", None),
        ("SELECT SAFE_CAST('0x1F' AS INT64)", 31),
        ("SELECT SAFE_CAST('99999999999999999999' AS INT64)", None),
        ("SELECT SAFE_CAST(7.5 AS INT64)", 8),  # of a number: rounded
        ("""SELECT LENGTH(JSON_QUERY('{"a": "x"}', '$.a'))""", 3),
        ("""SELECT JSON_VALUE(JSON_QUERY('{"a": {"b":1}}', '$.a'), '$.b')""", "1"),
        ("""SELECT TRIM(JSON_VALUE('{"a": "\u3000 x"}', '$.a'))""", "x"),
        ("SELECT SAFE.PARSE_JSON('{') IS NULL", True),
        ("""SELECT JSON_VALUE(SAFE.PARSE_JSON('{"a": 1}'), '$.a')""", "1"),
        ("SELECT TRIM('\u00a0\t a b \u2028\u3000')", "a b"),
        ("SELECT LTRIM('\u00a0 a\u00a0')", "a\u00a0"),
        ("SELECT RTRIM('\u00a0a \u0085')", "\u00a0a"),
        ("SELECT TRIM('xxaxx', 'x')", "a"),  # with characters: as they are
        ("SELECT TRIM('\u200b a')", "\u200b a"),  # a zero width space is not White_Space
    ],
)
def test_a_function_returns_what_bigquery_returns(sql: str, expected: Any) -> None:
    assert rows(sql) == [(expected,)]


def test_a_wildcard_table_is_the_relation_of_events_with_its_suffix() -> None:
    sql = "SELECT type FROM `githubarchive.day.20*` WHERE _TABLE_SUFFIX BETWEEN @first AND @last"
    assert rows(sql, first="150102", last="150131") == [("b",)]


def test_a_wildcard_table_keeps_its_alias() -> None:
    assert rows("SELECT e.type FROM `githubarchive.day.20*` AS e WHERE e._TABLE_SUFFIX = '150101'") == [
        ("a",)
    ]


def test_named_parameters_are_listed() -> None:
    assert translate("SELECT @a + @b + @a AS c").parameters == {"a", "b"}


def test_the_condition_of_a_scan_is_its_where_with_its_own_parameters() -> None:
    condition = scan_condition(
        "WITH x AS (SELECT * FROM `d.20*` WHERE type = @kind AND _TABLE_SUFFIX = '150101') "
        "SELECT * FROM x LIMIT @n"
    )
    connection = duckdb.connect()
    rows = connection.execute(
        f"SELECT {condition.sql} FROM (SELECT 'a' AS type, '150101' AS _TABLE_SUFFIX)", {"kind": "a"}
    ).fetchall()
    assert rows == [(True,)]
    assert condition.parameters == {"kind"}


def test_a_scan_without_a_where_selects_everything() -> None:
    assert duckdb.execute(f"SELECT {scan_condition('SELECT id FROM `d.20*`').sql}").fetchall() == [(True,)]


def test_a_query_that_scans_twice_is_refused() -> None:
    with pytest.raises(UsageError, match=r"exactly one wildcard table.* This query reads 2 wildcard tables"):
        scan_condition("SELECT 1 FROM `d.20*` UNION ALL SELECT 2 FROM `d.20*`")


def test_a_table_function_has_arguments_where_the_select_has_parameters() -> None:
    function = table_function(
        "WITH x AS (SELECT TRIM(@second) AS s) -- not @this\nSELECT s, @first AS f FROM x WHERE s = @second"
    )
    assert function.arguments == ("second", "first")
    assert function.sql == "WITH x AS (SELECT TRIM(second) AS s) SELECT s, first AS f FROM x WHERE s = second"
    duckdb.execute(f"CREATE OR REPLACE TEMP MACRO echo(second, first) AS TABLE {translate(function.sql).sql}")
    assert duckdb.execute(
        f"{translate('SELECT * FROM echo(@a, @b)').sql}", {"a": "a", "b": "b"}
    ).fetchall() == [("a", "b")]


def test_the_table_functions_take_these_arguments() -> None:
    arguments = {query.stem: table_function(query.sql).arguments for query in Query.folder("functions")}
    assert arguments == {"title_predictions_at": ("release",), "what_changed": ("before", "after")}


def test_no_argument_has_the_name_of_a_column_because_it_would_hide_it() -> None:
    columns = {name for table in contracts.TABLES.values() for name in table.warehouse_schema.names}
    arguments = {name for query in Query.folder("functions") for name in table_function(query.sql).arguments}
    assert arguments & columns == set()


def test_the_examples_parse_too() -> None:
    assert {query.stem: translate(query.sql).parameters for query in Query.folder("examples")} == {
        "abstained_by_script": frozenset(),
        "cost_by_month": frozenset(),
        "coverage_by_day": frozenset(),
        "duplicates_of_repository": {"repo"},
        "marked_duplicates": frozenset(),
        "most_different_titles": frozenset(),
        "most_reported_problems": frozenset(),
        "nearest_issues": {"issue_url"},
        "poor_titles_by_repository": frozenset(),
        "titles_of_repository": {"repo"},
    }


@pytest.mark.parametrize("sql", ["SELECT FROM WHERE", "DROP TABLE x", "SELECT 1; SELECT 2", ""])
def test_anything_but_one_select_is_refused(sql: str) -> None:
    with pytest.raises(UsageError):
        translate(sql)
