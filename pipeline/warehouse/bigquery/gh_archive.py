"""The query that reads a day's issues, malformed events and comments from GH Archive's BigQuery tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import pyarrow as pa
from google.cloud import bigquery

from pipeline import contracts
from pipeline.errors import SourceError
from pipeline.warehouse.column_types import in_bigquery
from pipeline.warehouse.protocol import (
    COMMENT_SCHEMA,
    FIRST_DAY,
    MALFORMED_PER_FILE,
    MALFORMED_SCHEMA,
    MALFORMED_TEXT_LENGTH,
    SourceTable,
    timeline_error,
)
from pipeline.warehouse.query import Query, table_suffix

SOURCE_TABLES = "githubarchive.day.20"  # a table suffix follows, such as 150131
SOURCE_COLUMNS = frozenset({"type", "payload", "repo.name", "actor.login", "created_at", "id"})
"""The columns that the queries read."""
_FAULT = {"reason": "STRING", "text": "STRING", "malformed_count": "INT64"}
_COMMENT = {"comment_url": "STRING", "said_by": "STRING"}  # a comment's columns that an issue lacks
EXTRACTED = [*contracts.EXTRACTED_ISSUES.schema.names, *_FAULT, *_COMMENT]

# One statement, because all parts read the payload: BigQuery then bills each column once.
_DAY = """
WITH issues AS (
{issues}
),
malformed AS (
{malformed}
),
comments AS (
{comments}
)
SELECT
  {of_issues}
FROM
  issues
UNION ALL
SELECT
  {of_malformed}
FROM (
  SELECT
    event_id,
    reason,
    SUBSTR(text, 1, {text_length}) AS text,
    COUNT(*) OVER () AS malformed_count
  FROM
    malformed
  WHERE
    TRUE
  QUALIFY
    ROW_NUMBER() OVER (ORDER BY event_id) <= {limit}
)
UNION ALL
SELECT
  {of_comments}
FROM
  comments
ORDER BY
  part,
  created_at,
  issue_id,
  event_id
"""
MALFORMED_PART, COMMENTS_PART, ISSUES_PART = 1, 2, 3
"""The values of the column `part` in the result of `day_query`, which is sorted by it."""


def day_query(query: Query) -> str:
    """Returns one SELECT that reads a day of GH Archive. Its result has the malformed events first, then the
    comments that may mark duplicates, then the issues.

    `query` is the SELECT of sql/extract_issues.sql, which returns only the issues. This function combines it
    with the SELECTs of sql/extract_malformed.sql and sql/extract_duplicate_marks.sql. Each of the three parts
    of the result is sorted by time and id.
    """
    return _DAY.format(
        issues=query.sql,
        malformed=Query.from_file("extract_malformed").sql,
        comments=Query.from_file("extract_duplicate_marks").sql,
        of_issues=_columns(ISSUES_PART, contracts.EXTRACTED_ISSUES.schema.names),
        of_malformed=_columns(MALFORMED_PART, ["event_id", *_FAULT]),
        of_comments=_columns(COMMENTS_PART, COMMENT_SCHEMA.names),
        text_length=MALFORMED_TEXT_LENGTH,
        limit=MALFORMED_PER_FILE,
    )


def refuse_timeline(day: date) -> None:
    """Raises SourceError for a day before 2015. The events of such a day have the format of the Timeline API,
    without titles and bodies. Checks only the date, because BigQuery would bill for reading the events."""
    if day < FIRST_DAY:
        raise timeline_error(f"The events of {day} in {SOURCE_TABLES}{table_suffix(day)}")


def column_names(schema: Iterable[bigquery.SchemaField]) -> set[str]:
    """Returns the names of a table's columns and of their fields. The name of a field includes its column:
    `repo.name`."""
    names = set()
    for column in schema:
        names |= {column.name, *(f"{column.name}.{field.name}" for field in column.fields)}
    return names


def refuse_missing_columns(table: SourceTable) -> None:
    """Raises SourceError if a table lacks a column that the queries read. Must be called before a query is
    paid for."""
    if table.missing_columns:
        names = ", ".join(table.missing_columns)
        raise SourceError(
            f"The table {table.name} lacks these columns, which the extraction reads: {names}.",
            "GH Archive may have changed its tables. Read the day from hour files: "
            "TITLER_WAREHOUSE__KIND=duckdb titler extract --day DAY",
            final=True,
        )


def _columns(part: int, available: Sequence[str]) -> str:
    """Returns the list of columns for the SELECT of one part of the result. All parts have the same columns.
    A column that is not in `available` is NULL."""
    kinds = (
        {field.name: in_bigquery(field.type) for field in contracts.EXTRACTED_ISSUES.schema}
        | _FAULT
        | _COMMENT
    )
    columns = [name if name in available else f"CAST(NULL AS {kinds[name]}) AS {name}" for name in EXTRACTED]
    return ",\n  ".join([f"{part} AS part", *columns])


def malformed_table(rows: Sequence[dict[str, object]], table: str) -> pa.Table:
    """Returns the malformed events in the result of `day_query`, as a table with MALFORMED_SCHEMA.

    The column `line` has the event's id, or 0 if the id is not a number.
    """
    malformed = [
        {
            "file": table,
            "line": int(str(row["event_id"])) if str(row["event_id"]).isdecimal() else 0,
            "reason": row["reason"],
            "text": row["text"] or "",
        }
        for row in rows
    ]
    return pa.Table.from_pylist(malformed, schema=MALFORMED_SCHEMA)
