"""The view `duplicate_clusters` of pairs in memory, without a lake and a warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.contracts import DUPLICATE_PAIRS, RELEASE_MEMBERS, RELEASES, SUPERSEDED_OPENINGS
from pipeline.warehouse import Query
from pipeline.warehouse.duckdb.differences_from_bigquery import translate
from tests.sql.worlds import batch, member
from tests.warehouse.events import DAY, release

VIEW = translate(Query.from_file("views/duplicate_clusters").sql).sql


def clusters_of(pairs: Sequence[dict[str, Any]], cluster_probability: float) -> list[dict[str, Any]]:
    """The rows of the view for a release that has these rows of duplicate_pairs_v1. Each may have its own
    `source_day`."""
    days = sorted({row.get("source_day", DAY) for row in pairs})
    tables = {
        DUPLICATE_PAIRS: batch(DUPLICATE_PAIRS, "p", *pairs),
        RELEASE_MEMBERS: [member("r", DUPLICATE_PAIRS, "p", day) for day in days],
        RELEASES: [release("r", cluster_probability=cluster_probability)],
        SUPERSEDED_OPENINGS: [],
    }
    with duckdb.connect() as connection:
        for table, rows in tables.items():
            connection.register(table.name, pa.Table.from_pylist(rows, schema=table.warehouse_schema))
        return list(connection.sql(VIEW).to_arrow_table().to_pylist())
