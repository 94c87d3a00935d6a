"""Which issue wins if one was opened twice: the earliest `opened` event, in whichever day it is.

Within a day, `sql/extract_issues.sql` keeps one row per issue. Across days, the later rows are superseded: a
plan lists them, and every stage skips them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake


def duplicate_openings(lake: Lake, days: Sequence[tuple[str, str]]) -> dict[str, list[int]]:
    """Per day, the ids of issues whose earliest `opened` event is in another of the days.

    `days` are (day, folder of its batch of issues). The earliest event is the one with the smallest time,
    then the smallest event id.
    """
    columns = ["issue_id", "created_at", "event_id"]
    tables = []
    for position, (_, folder) in enumerate(days):
        table = lake.read(lake.manifest(folder), ISSUES, columns)
        tables.append(
            table.append_column("position", pa.array(np.full(len(table), position, dtype=np.int32)))
        )
    if not tables:
        return {}
    rows = pa.concat_tables(tables)
    ids = rows.column("issue_id").to_numpy()
    if len(np.unique(ids)) == len(ids):
        return {}
    rows = rows.sort_by([("issue_id", "ascending"), ("created_at", "ascending"), ("event_id", "ascending")])
    ids = rows.column("issue_id").to_numpy()
    repeated = np.concatenate([[False], ids[1:] == ids[:-1]])
    positions = rows.column("position").to_numpy()
    superseded: dict[str, set[int]] = {}
    for issue_id, position in zip(ids[repeated].tolist(), positions[repeated].tolist(), strict=True):
        superseded.setdefault(days[position][0], set()).add(issue_id)
    return {day: sorted(issue_ids) for day, issue_ids in sorted(superseded.items())}
