"""Maps the column types of the contracts to each warehouse's types. No other module does."""

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
    """BigQuery's name of a contract's type. Lists have none: BigQuery marks the column as repeated."""
    return _IN_BIGQUERY[kind]


def in_duckdb(kind: pa.DataType) -> str:
    """DuckDB's name of a contract's type."""
    if pa.types.is_list(kind):
        return f"{in_duckdb(kind.value_type)}[]"
    return _IN_DUCKDB[kind]
