"""Turns the values of a statement's `@named` parameters into BigQuery's query parameters."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from google.cloud import bigquery

_TYPES = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (str, "STRING"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
)


def query_parameter(name: str, value: Any) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    """Returns the query parameter `name`. A list or a set becomes a sorted array. If it is empty, the array
    has the type STRING."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return bigquery.ArrayQueryParameter(name, _type_of(next(iter(value), "")), sorted(value))
    return bigquery.ScalarQueryParameter(name, _type_of(value), value)


def _type_of(value: Any) -> str:
    return next(kind for python_type, kind in _TYPES if isinstance(value, python_type))
