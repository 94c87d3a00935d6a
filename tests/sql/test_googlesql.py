"""Google's own analyser accepts every statement of `sql/` and of the docs, with the contracts' types."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest

from pipeline import contracts
from pipeline.warehouse import SQL
from tests.sql.googlesql import GoogleSQL, WrongSQLError, parameters, statements, types
from tests.warehouse.events import health

ONLY_BIGQUERY = SQL / "examples" / "nearest_issues.sql"
FILES = sorted(str(path.relative_to(SQL)) for path in SQL.rglob("*.sql") if path != ONLY_BIGQUERY)
PAGES = "".join(
    (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    for page in ("docs/querying.md", "docs/bigquery.md")
)
EXTRACT = (SQL / "extract_issues.sql").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES)
def test_a_statement_is_googlesql(googlesql: GoogleSQL, file: str) -> None:
    assert googlesql.analyse((SQL / file).read_text(encoding="utf-8"))


def test_an_example_needs_only_what_bigquery_adds_to_googlesql(googlesql: GoogleSQL) -> None:
    with pytest.raises(WrongSQLError, match="Table-valued function not found: VECTOR_SEARCH"):
        googlesql.analyse(ONLY_BIGQUERY.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "sql",
    re.findall(r"(?ms)^```sql\n(.*?);?\s*^```$", PAGES),
    ids=lambda sql: sql.splitlines()[0].strip("- "),
)
def test_an_analysts_query_is_googlesql(googlesql: GoogleSQL, sql: str) -> None:
    assert googlesql.analyse(sql)


def test_the_extraction_gives_the_columns_of_its_contract(googlesql: GoogleSQL) -> None:
    assert googlesql.analyse(EXTRACT) == types(contracts.EXTRACTED_ISSUES.schema)
    assert types(contracts.EXTRACTED_ISSUES.schema) == {
        "issue_id": "INT64",
        "issue_url": "STRING",
        "repo": "STRING",
        "number": "INT64",
        "author": "STRING",
        "title": "STRING",
        "body": "STRING",
        "created_at": "TIMESTAMP",
        "event_id": "STRING",
        "trainable": "BOOL",
        "author_association": "STRING",
    }


def test_a_views_columns_have_the_types_of_the_table_that_it_shows(googlesql: GoogleSQL) -> None:
    assert googlesql.analyse(
        "SELECT day, hours_missing, usual_events, usual_issues, verdict, reason, release_id "
        "FROM source_health"
    ) == {
        "day": "DATE",
        "hours_missing": "ARRAY<INT64>",
        "usual_events": "INT64",
        "usual_issues": "INT64",
        "verdict": "STRING",
        "reason": "STRING",
        "release_id": "STRING",
    }


WRONG = [
    ("a column's name", "SELECT titel FROM title_predictions", "Unrecognized name: titel"),
    ("a table's name", "SELECT title FROM title_prediction", "Table not found: title_prediction"),
    ("a column that the view leaves out", "SELECT digest FROM releases", "Unrecognized name: digest"),
    ("a field's name", "SELECT repo.title FROM `githubarchive.day.20*`", "Field name title does not exist"),
    ("another wildcard", "SELECT id FROM `githubarchive.day.*`", "Table not found"),
    ("two types", "SELECT issue_id = title FROM title_predictions", "No matching signature for operator ="),
    (
        "a parameter's type",
        "SELECT issue_id FROM title_predictions WHERE issue_id = @release",
        "No matching signature for operator =",
    ),
    (
        "a function's name",
        "SELECT JSON_VALU(title, '$.a') FROM title_predictions",
        "Function not found: JSON_VALU",
    ),
    ("another dialect's function", "SELECT LIST(title) FROM title_predictions", "Function not found: LIST"),
    (
        "another dialect's type",
        "SELECT CAST(title AS VARCHAR) FROM title_predictions",
        "Type not found: VARCHAR",
    ),
    ("a type of Google's own", "SELECT CAST(title AS INT32) FROM title_predictions", "Type not found: INT32"),
    (
        "what is not grouped",
        "SELECT title, COUNT(*) FROM title_predictions",
        "neither grouped nor aggregated",
    ),
    ("a word too many", "SELECT title FROM FROM title_predictions", "Syntax error"),
]


@pytest.mark.parametrize(("case", "sql", "error"), WRONG, ids=[case for case, _, _ in WRONG])
def test_a_wrong_statement_is_rejected(googlesql: GoogleSQL, case: str, sql: str, error: str) -> None:
    with pytest.raises(WrongSQLError, match=error):
        googlesql.analyse(sql)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("repo.name", "repo.nam"),
        ("actor.login", "actor"),  # a struct where issues_v1 has a string
        (
            "SAFE_CAST(JSON_QUERY(payload, '$.issue.number') AS INT64)",
            "JSON_QUERY(payload, '$.issue.number')",
        ),
        ("ARRAY_LENGTH", "ARRAY_SIZE"),
    ],
)
def test_a_wrong_extraction_is_rejected(googlesql: GoogleSQL, right: str, wrong: str) -> None:
    assert right in EXTRACT
    with suppress(WrongSQLError):
        assert googlesql.analyse(EXTRACT.replace(right, wrong)) != types(contracts.EXTRACTED_ISSUES.schema)


def test_an_unknown_parameter_is_named(googlesql: GoogleSQL) -> None:
    with pytest.raises(KeyError, match="relase"):
        googlesql.analyse("SELECT 1 FROM releases WHERE release_id = @relase")


def test_a_view_may_read_views_whatever_their_order_and_a_function_takes_its_parameters() -> None:
    google = GoogleSQL(
        {"t": contracts.RELEASES.schema},
        views={"a": "SELECT n + 1 AS m FROM b", "b": "SELECT issues AS n FROM t"},
        functions={"f": "-- not @this\nSELECT m, @after AS till FROM a WHERE @before < @after"},
    )
    assert google.analyse("SELECT * FROM f('2015', '2016')") == {"m": "INT64", "till": "STRING"}
    with pytest.raises(WrongSQLError, match="No matching signature for f"):
        google.analyse("SELECT * FROM f('2015')")


def test_a_set_of_views_with_a_wrong_one_is_rejected() -> None:
    with pytest.raises(WrongSQLError, match="Unrecognized name: c"):
        GoogleSQL({}, views={"a": "SELECT 1 AS n", "b": "SELECT c FROM a"}, functions={})


def test_parameters_come_in_their_order_without_those_of_comments() -> None:
    assert parameters("-- @c\nSELECT @b, @a, @b") == ["b", "a"]


def test_the_catalogue_has_every_view_and_function(googlesql: GoogleSQL) -> None:
    for name in statements("views"):
        assert googlesql.analyse(f"SELECT * FROM {name}")
    for name, sql in statements("functions").items():
        arguments = ", ".join("''" for _ in parameters(sql))
        assert googlesql.analyse(f"SELECT * FROM {name}({arguments})") == googlesql.analyse(sql)


def test_the_evaluator_gives_rows_of_every_type(googlesql: GoogleSQL) -> None:
    row = {**health(), "batch_id": "h1", "release_id": "r1"}
    sql = (
        "SELECT day, hours_missing, usual_events, verdict || @release AS verdict, malformed / 2 AS half "
        "FROM source_health"
    )
    assert googlesql.evaluate(sql, {"source_health": [row]}, {"release": "!"}) == [
        {
            "day": date(2015, 1, 3),
            "hours_missing": [4],
            "usual_events": None,
            "verdict": "partial!",
            "half": 0.5,
        }
    ]
