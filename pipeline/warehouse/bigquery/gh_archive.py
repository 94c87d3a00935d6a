"""The query that reads the issues and the malformed events of one day from GH Archive's BigQuery tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from pipeline import contracts
from pipeline.warehouse.column_types import in_bigquery
from pipeline.warehouse.protocol import (
    FIRST_DAY,
    MALFORMED_PER_FILE,
    MALFORMED_SCHEMA,
    MALFORMED_TEXT_LENGTH,
    timeline_error,
)
from pipeline.warehouse.query import Query, table_suffix

SOURCE_TABLES = "githubarchive.day.20"  # a table suffix follows, such as 150131
EXTRACTED = [*contracts.ISSUES.schema.names, "reason", "text", "malformed_count"]

# One statement, because both parts read the payload: BigQuery then bills each column once.
_DAY = """
WITH issues AS (
{issues}
),
malformed AS (
{malformed}
)
SELECT
  {columns},
  CAST(NULL AS STRING) AS reason,
  CAST(NULL AS STRING) AS text,
  CAST(NULL AS INT64) AS malformed_count
FROM
  issues
UNION ALL
SELECT
  {nulls},
  reason,
  text,
  malformed_count
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
ORDER BY
  reason IS NULL,
  created_at,
  issue_id,
  event_id
"""


def day_query(query: Query) -> str:
    """Returns one SELECT that reads a day of GH Archive. Its result has the malformed events first, then the
    issues.

    `query` is the SELECT of sql/extract_issues.sql, which returns only the issues. The SELECT of
    sql/extract_malformed.sql is added for the malformed events. Each of the two parts is sorted.
    """
    columns = contracts.ISSUES.schema.names
    kinds = {field.name: in_bigquery(field.type) for field in contracts.ISSUES.schema}
    nulls = [name if name == "event_id" else f"CAST(NULL AS {kinds[name]}) AS {name}" for name in columns]
    return _DAY.format(
        issues=query.sql,
        malformed=Query.from_file("extract_malformed").sql,
        columns=",\n  ".join(columns),
        nulls=",\n  ".join(nulls),
        text_length=MALFORMED_TEXT_LENGTH,
        limit=MALFORMED_PER_FILE,
    )


def refuse_timeline(day: date) -> None:
    """Raises SourceError for a day before 2015, because its events have no titles and bodies. The date
    decides, because reading the events would be billed."""
    if day < FIRST_DAY:
        raise timeline_error(f"The events of {day} in {SOURCE_TABLES}{table_suffix(day)} have")


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
