"""Runs the extraction queries on slices of the table `events`, so that the queries use bounded memory.

DuckDB computes up to VECTOR_ROWS rows together. An extraction query has several JSON functions, and each of
them holds a parsed copy of the payloads of these rows in memory. If a copy would have more than SLICE_BYTES,
a new slice begins. On an ordinary day, a copy has only a few megabytes, so the whole table is one slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.warehouse.duckdb.differences_from_bigquery import merging_statement

VECTOR_ROWS = 2048
SLICE_BYTES = 32 * 2**20

# A parsed JSON value takes 16 bytes more than its text, and a value is begun by one of three characters.
_LENGTHS = """
SELECT
  rowid,
  49 * STRLEN(text)
  - 16 * (STRLEN(REPLACE(text, '[', '')) + STRLEN(REPLACE(text, '{', '')) + STRLEN(REPLACE(text, ',', '')))
    AS length
FROM (SELECT rowid, CAST(payload AS VARCHAR) AS text FROM events)
ORDER BY rowid
"""
_BEGIN = "ALTER TABLE events RENAME TO all_events"
_SLICE = (
    "CREATE OR REPLACE TEMP VIEW events AS SELECT * FROM all_events WHERE rowid BETWEEN {first} AND {last}"
)
_END = "DROP VIEW IF EXISTS events; ALTER TABLE all_events RENAME TO events"


class Statement(NamedTuple):
    """A statement in DuckDB's dialect that reads the table `events`, and its parameters."""

    sql: str
    parameters: Mapping[str, Any]


def run_in_slices(
    connection: duckdb.DuckDBPyConnection, statements: Mapping[str, Statement]
) -> dict[str, list[pa.Table]]:
    """Runs each of the statements on each slice of the table `events`. Maps the name of each statement to the
    list of its results, one per slice."""
    rows = connection.execute(_LENGTHS).fetchnumpy()
    ids, ends = np.asarray(rows["rowid"]), slice_ends(np.asarray(rows["length"], dtype=np.int64))
    results: dict[str, list[pa.Table]] = {name: [] for name in statements}
    if len(ends) <= 1:
        for name, statement in statements.items():
            results[name].append(_run(connection, statement))
        return results
    connection.execute(_BEGIN)
    try:
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            connection.execute(_SLICE.format(first=ids[start], last=ids[end - 1]))
            for name, statement in statements.items():
                results[name].append(_run(connection, statement))
    finally:
        connection.execute(_END)
    return results


def merge_slices(connection: duckdb.DuckDBPyConnection, sql: str, tables: list[pa.Table]) -> pa.Table:
    """Merges the results of an extraction query on all slices (`tables`) into the result on the whole table.
    `sql` is the query in BigQuery's dialect."""
    if len(tables) == 1:
        return tables[0]
    connection.register("slices", pa.concat_tables(tables))
    merged = connection.sql(merging_statement(sql, "slices")).to_arrow_table()
    connection.unregister("slices")
    return merged


def slice_ends(lengths: npt.NDArray[np.int64]) -> list[int]:
    """Divides n rows into slices. Returns the position after the last row of each slice.

    `lengths` (n,) has the number of bytes of each parsed row. Within a slice, any VECTOR_ROWS consecutive
    rows have at most SLICE_BYTES together. The only exception is a single row with more than SLICE_BYTES.
    """
    return [*_cuts(lengths), len(lengths)] if len(lengths) else []


def _cuts(lengths: npt.NDArray[np.int64]) -> Iterator[int]:
    totals = np.concatenate([[0], np.cumsum(lengths)])
    window_starts = np.maximum(np.arange(1, len(totals)) - VECTOR_ROWS, 0)
    is_full = totals[1:] - totals[window_starts] > SLICE_BYTES
    full_windows = np.flatnonzero(is_full)  # the last rows of the windows that have too much
    start = 0
    while len(full_windows):
        # within the first window of a slice, only the rows of the slice count
        own = int(np.searchsorted(totals, totals[start] + SLICE_BYTES, "right")) - 1
        if own >= start + VECTOR_ROWS:
            place = np.searchsorted(full_windows, start + VECTOR_ROWS)
            own = int(full_windows[place]) if place < len(full_windows) else len(lengths)
        start = max(own, start + 1)
        if start >= len(lengths):
            return
        yield start


def _run(connection: duckdb.DuckDBPyConnection, statement: Statement) -> pa.Table:
    return connection.sql(statement.sql, params=dict(statement.parameters)).to_arrow_table()
