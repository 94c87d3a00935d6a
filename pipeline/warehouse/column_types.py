"""Maps the Arrow types of the tables' columns (pipeline/contracts) to BigQuery's and DuckDB's types."""

from __future__ import annotations

import pyarrow as pa

_IN_DUCKDB: dict[pa.DataType, str] = {
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.float64(): "DOUBLE",
    pa.float16(): "FLOAT",
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


_IN_BIGQUERY: dict[pa.DataType, str] = {
    pa.int64(): "INT64",
    pa.int32(): "INT64",
    pa.float64(): "FLOAT64",
    pa.float16(): "FLOAT64",
    pa.string(): "STRING",
    pa.bool_(): "BOOL",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP",
}


def in_bigquery(kind: pa.DataType) -> str:
    """Returns the BigQuery type of a column that has the type `kind` in Arrow.

    Raises KeyError for a list type, because BigQuery stores a list as a repeated column of the element type.
    """
    return _IN_BIGQUERY[kind]


def in_duckdb(kind: pa.DataType) -> str:
    """Returns the DuckDB type of a column that has the type `kind` in Arrow. A list becomes, for example,
    `FLOAT[]`."""
    if pa.types.is_list(kind):
        return f"{in_duckdb(kind.value_type)}[]"
    return _IN_DUCKDB[kind]
