"""The contract of the table source_health_v1: how complete a source day is."""

from __future__ import annotations

import pyarrow as pa

from pipeline.contracts.contract import Table, column

SOURCE_HEALTH = Table(
    name="source_health_v1",
    prose="How complete GH Archive's data of a source day is: a verdict, and the counts that it is based on.",
    schema=pa.schema(
        [
            column("day", pa.date32(), "the source day (UTC)"),
            column("hours_found", pa.int64(), "number of hours from which an event was read, at most 24"),
            column("hours_missing", pa.list_(pa.int64()), "hours without an event, each 0 to 23 (UTC)"),
            column("events", pa.int64(), "number of events of all types"),
            column("malformed", pa.int64(), "number of lines quarantined because they are malformed"),
            column("issues", pa.int64(), "number of distinct issues opened"),
            column("trainable", pa.int64(), "number of these issues that are trainable"),
            column(
                "usual_events",
                pa.int64(),
                "median number of events per comparison day; NULL if there were too few such days",
                null=True,
            ),
            column("verdict", pa.string(), "complete, partial, collapsed or missing"),
            column(
                "usual_issues",
                pa.int64(),
                "median number of issues per comparison day; NULL if there were too few such days",
                null=True,
            ),
            column(
                "compared_with",
                pa.string(),
                "which days are compared: weekday (same weekday) or month (28 days before); NULL if too few",
                null=True,
            ),
            column("reason", pa.string(), "why the day is not complete; NULL if it is complete", null=True),
            column(
                "malformed_issues",
                pa.int64(),
                "number of malformed lines that open an issue; NULL if an earlier version extracted the day",
                null=True,
            ),
            column(
                "hours_unreadable",
                pa.list_(pa.int64()),
                "hours whose file has no readable event, each 0 to 23 (UTC); they are in hours_missing, too",
                null=True,
            ),
            column(
                "events_per_hour",
                pa.list_(pa.int64()),
                "events of the hours 0 to 23 (UTC); NULL or empty if an earlier version extracted the day",
                null=True,
            ),
            column(
                "hour_sources",
                pa.list_(pa.string()),
                "for the hours 0 to 23 (UTC), the address or the name of the folder that the hour was taken "
                "from, or its table in BigQuery; empty text for an hour without an event; NULL in earlier "
                "versions' rows",
                null=True,
            ),
            column(
                "hour_digests",
                pa.list_(pa.string()),
                "for the hours 0 to 23 (UTC), the SHA-256 of the hour's file; empty text if it has none",
                null=True,
            ),
            column(
                "late_hours_missing",
                pa.list_(pa.int64()),
                "hours that may have late events of the day but were not read, counted from the start of the "
                "day: 24 is the first hour of the next day",
                null=True,
            ),
        ]
    ),
    key=("day",),
    partition=("day",),
    lives_in=("lake", "warehouse"),
    with_warehouse_columns=True,
)
