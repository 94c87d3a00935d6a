"""A source day as GH Archive's data set has it: one query for its issues and for the events that lack something."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipeline import contracts
from pipeline.warehouse import MALFORMED, MALFORMED_KEPT, TEXT_KEPT, Query
from pipeline.warehouse.types import in_bigquery

SOURCE = "githubarchive.day.20"
EXTRACTED = [*contracts.ISSUES.schema.names, "reason", "text", "found"]

# both read the payload, so one statement: what it bills is each column once
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
  CAST(NULL AS INT64) AS found
FROM
  issues
UNION ALL
SELECT
  {nulls},
  reason,
  text,
  found
FROM (
  SELECT
    event_id,
    reason,
    SUBSTR(text, 1, {text_kept}) AS text,
    COUNT(*) OVER () AS found
  FROM
    malformed
  WHERE
    TRUE
  QUALIFY
    ROW_NUMBER() OVER (ORDER BY event_id) <= {kept}
)
ORDER BY
  reason IS NULL,
  created_at,
  issue_id,
  event_id
"""


def day_query(query: Query) -> str:
    """`query` (sql/extract_issues.sql) with what it leaves out (sql/extract_malformed.sql): first the malformed, then issues in order."""
    columns = contracts.ISSUES.schema.names
    kinds = {field.name: in_bigquery(field.type) for field in contracts.ISSUES.schema}
    nulls = [name if name == "event_id" else f"CAST(NULL AS {kinds[name]}) AS {name}" for name in columns]
    return _DAY.format(
        issues=query.sql,
        malformed=Query.from_file("extract_malformed").sql,
        columns=",\n  ".join(columns),
        nulls=",\n  ".join(nulls),
        text_kept=TEXT_KEPT,
        kept=MALFORMED_KEPT,
    )


def malformed_of(rows: Sequence[dict[str, object]], table: str) -> pa.Table:
    """Rows of `day_query` that are no issues, as quarantine takes them: their line is the event's number, 0 where it has none."""
    found = [
        {
            "file": table,
            "line": int(str(row["event_id"])) if str(row["event_id"]).isdecimal() else 0,
            "reason": row["reason"],
            "text": row["text"] or "",
        }
        for row in rows
    ]
    return pa.Table.from_pylist(found, schema=MALFORMED)
