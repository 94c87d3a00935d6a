"""Writes docs/data.md, the dictionary of all tables and views, from the contracts and from `sql/`.

This command writes the page:

    .venv/bin/python infra/data_page.py
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from example_rows import EARLIER_RELEASE, RELEASE, REPO, ROWS, members
from pipeline import contracts
from pipeline.contracts import Table
from pipeline.warehouse import Query
from pipeline.warehouse.column_types import in_bigquery, in_duckdb
from pipeline.warehouse.duckdb.release_file import create_views_and_functions
from pipeline.warehouse.sql_parser import table_function
from pipeline.warehouse.view_columns import columns_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "data.md"
INTRODUCTION = """\
# The tables and views

This page is a dictionary, for analysts and for whoever reads the lake: what a row is, and what each column
means. [Querying](querying.md) has queries with their results, and says which view answers which question.

The same descriptions are in the warehouse itself. BigQuery shows them as the descriptions of views and
columns. In DuckDB:

```sql
SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = 'title_predictions'
```

Types have BigQuery's names. In DuckDB, `INT64` is `BIGINT`, `FLOAT64` is `DOUBLE`, `STRING` is `VARCHAR`,
`BOOL` is `BOOLEAN` and `TIMESTAMP` is `TIMESTAMP WITH TIME ZONE`. Examples are invented.

GitHub's `author_association` of an issue's author is in no public event since 2025-10-07, so it is NULL for
later days. The language of an issue is not determined; the example
[abstained_by_script.sql](../sql/examples/abstained_by_script.sql) takes the script of the title instead.\
"""
LAKE_INTRODUCTION = """\
## Tables

Written tables have a version in their name. A table of the lake is a folder of Parquet files, one batch per
partition: `TABLE/model=.../day=.../BATCH/`. Tables of the warehouse are what the views read. Analysts do not
need them, with two exceptions: `source_health_v1` has the source days of earlier releases, and `spend_v1` has
the costs, see
[cost_by_month.sql](../sql/examples/cost_by_month.sql).\
"""


@dataclass(frozen=True)
class View:
    """Facts that the page needs about one view or table function. They are neither in `sql/` nor in the
    contracts.

    `key` has the columns of its key. `query` is a short example, which is run whenever the page is written.
    `partition` is the column by which a query can limit the days that it reads. It is None if there is no
    such column."""

    key: tuple[str, ...]
    query: str
    partition: str | None = "source_day"


VIEWS = {
    "duplicate_clusters": View(
        ("issue_id",),
        "SELECT canonical_url, size FROM duplicate_clusters WHERE issue_id = canonical_issue_id",
        None,
    ),
    "duplicate_marks": View(
        ("event_id",), "SELECT said_by, COUNT(*) AS marks FROM duplicate_marks GROUP BY said_by", None
    ),
    "embeddings": View(
        ("issue_id",), "SELECT issue_id, embedding FROM embeddings WHERE source_day = '2024-01-02'"
    ),
    "near_duplicates": View(
        ("issue_id", "similar_issue_id"),
        f"SELECT number, similar_issue_url FROM near_duplicates WHERE repo = '{REPO}'",
    ),
    "poor_titles": View(("issue_id",), "SELECT reason, COUNT(*) AS issues FROM poor_titles GROUP BY reason"),
    "releases": View(
        ("release_id",), "SELECT release_id, issues FROM releases WHERE status = 'current'", None
    ),
    "similar_issues": View(
        ("issue_id", "list", "rank"),
        f"SELECT number, similar_issue_url FROM similar_issues WHERE repo = '{REPO}' AND suggested",
    ),
    "source_health": View(
        ("day",), "SELECT day, reason FROM source_health WHERE verdict != 'complete'", "day"
    ),
    "title_predictions": View(
        ("issue_id",), f"SELECT number, title, predicted_title FROM title_predictions WHERE repo = '{REPO}'"
    ),
    "title_predictions_at": View(
        ("issue_id",), f"SELECT issue_url, predicted_title FROM title_predictions_at('{RELEASE}')"
    ),
    "what_changed": View(
        ("issue_id",), f"SELECT change, issue_url FROM what_changed('{EARLIER_RELEASE}', '{RELEASE}')", None
    ),
}
LONGEST_EXAMPLE = 60


def page() -> str:
    """Returns the page in Markdown."""
    lines = [
        INTRODUCTION,
        "",
        "## Views",
        "",
        "A view shows the current release. Only `releases` shows all that are retained.",
    ]
    with duckdb.connect() as connection:
        _create(connection)
        for view in Query.folder("views"):
            lines += _view(connection, view, f"FROM {view.stem} LIMIT 1")
        lines += ["", "## Table functions", "", "A function shows any release that is retained."]
        for function in Query.folder("functions"):
            call = VIEWS[function.stem].query.partition(" FROM ")[2]
            lines += _view(connection, function, f"FROM {call} LIMIT 1")
    lines += ["", LAKE_INTRODUCTION]
    for table in contracts.TABLES.values():
        lines += _table(table)
    return "\n".join(lines) + "\n"


def _create(connection: duckdb.DuckDBPyConnection) -> None:
    """Creates the tables with the example rows, and the views and functions of `sql/`."""
    connection.execute("SET TimeZone = 'UTC'")
    for name, rows in {**ROWS, "release_members_v1": members()}.items():
        table = contracts.TABLES[name]
        schema = pa.schema([_readable(field) for field in table.warehouse_schema])
        connection.register("example_rows", pa.Table.from_pylist(rows, schema=schema))
        casts = ", ".join(_cast(field) for field in table.warehouse_schema)
        connection.execute(f"CREATE TABLE {name} AS SELECT {casts} FROM example_rows")
    create_views_and_functions(connection)


def _cast(field: pa.Field) -> str:
    return f'CAST("{field.name}" AS {in_duckdb(field.type)}) AS "{field.name}"'


def _readable(field: pa.Field) -> pa.Field:
    """Returns a column with a type that DuckDB reads from Arrow: float32 in place of float16."""
    return field.with_type(pa.list_(pa.float32())) if field.type == pa.list_(pa.float16()) else field


def _view(connection: duckdb.DuckDBPyConnection, query: Query, example: str) -> list[str]:
    """Returns the section of a view or a table function. `example` is a query whose first row is shown."""
    facts = VIEWS[query.stem]
    columns = columns_of(query)
    relation = connection.sql(example)
    row: dict[str, Any] = next(iter(relation.to_arrow_table().to_pylist()), {})
    connection.sql(facts.query).fetchall()
    signature = query.stem
    if query.name.startswith("functions/"):
        signature += f"({', '.join(table_function(query.sql).arguments)})"
    grain = query.prose.removeprefix("Grain: ")
    lines = [
        "",
        f"### {signature}",
        "",
        f"{grain[0].upper()}{grain[1:]} The statement: [{query.stem}.sql](../sql/{query.name}.sql).",
        "",
        f"- Key: {_names(facts.key)}.",
    ]
    if facts.partition:
        lines.append(f"- Partition: `{facts.partition}`. A filter on it reads only these days.")
    header = ["| column | type | example | meaning |", "|---|---|---|---|"]
    lines += ["", "```sql", facts.query, "```", "", *header]
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    for name, column in columns.items():
        kind = _in_bigquery(kinds[name])
        lines.append(f"| `{name}` | {kind} | {_example(row.get(name), bool(row))} | {_prose(column.prose)} |")
    return lines


def _table(table: Table) -> list[str]:
    """Returns the section of a table."""
    places = " and ".join(f"the {place}" for place in table.lives_in)
    schema = table.warehouse_schema if "warehouse" in table.lives_in else table.schema
    key = f"- Key: {_names(table.key)}{', unique within a partition' if table.partition else ''}."
    lines = ["", f"### {table.name}", "", table.prose, "", f"- Stored in {places}.", key]
    lines += [f"- Partition: {_names(table.partition)}."] if table.partition else []
    lines += ["", "| column | type | meaning |", "|---|---|---|"]
    for field in schema:
        prose = _prose(field.metadata[b"description"].decode())
        lines.append(f"| `{field.name}` | {_type(field)} | {prose} |")
    return lines


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _type(field: pa.Field) -> str:
    if pa.types.is_list(field.type):
        return f"ARRAY of {in_bigquery(field.type.value_type)}"
    return in_bigquery(field.type)


def _in_bigquery(kind: str) -> str:
    """Returns BigQuery's name of a type of DuckDB."""
    names = {
        "BIGINT": "INT64", "INTEGER": "INT64", "DOUBLE": "FLOAT64", "FLOAT": "FLOAT64", "VARCHAR": "STRING",
        "BOOLEAN": "BOOL", "DATE": "DATE", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    }  # fmt: skip
    return f"ARRAY of {names[kind[:-2]]}" if kind.endswith("[]") else names[kind]


def _example(value: Any, has_row: bool) -> str:
    """Returns a value as text in a cell. A long one is cut."""
    if not has_row:
        return ""
    if isinstance(value, datetime):
        value = f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, date):
        value = value.isoformat()
    if isinstance(value, list):
        value = "[" + ", ".join(map(str, value)) + "]"
    text = "NULL" if value is None else "true" if value is True else "false" if value is False else str(value)
    if len(text) > LONGEST_EXAMPLE:
        text = f"{text[:LONGEST_EXAMPLE].rstrip()}..."
    return f"`{_cell(text)}`" if text else "(empty)"


def _prose(text: str) -> str:
    """Returns a description as text in a cell. Markdown would take `<title>` for an element of the page."""
    return _cell(text).replace("*", "\\*").replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
