"""The contracts' types in a warehouse: the one place that maps them."""

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


def in_duckdb(kind: pa.DataType) -> str:
    """DuckDB's name of a contract's type."""
    if pa.types.is_list(kind):
        return f"{in_duckdb(kind.value_type)}[]"
    return _IN_DUCKDB[kind]
