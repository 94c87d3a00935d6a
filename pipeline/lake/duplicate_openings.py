"""Finds issues that have an `opened` event in more than one source day. Only the earliest event counts.

Within a day, `sql/extract_issues.sql` keeps one row per issue. If several days have a row of the same issue,
only the row with the earliest event is used. The plan of a model or a release lists the other rows under the
key `superseded`, and stages skip these rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake


def duplicate_openings(lake: Lake, days: Sequence[tuple[str, str]]) -> dict[str, list[int]]:
    """Returns the issues to skip on each day: a dict from the day to the sorted issue ids. Days without such
    issues are left out.

    If several of the `days` have an `opened` event of the same issue, only the day with the earliest event
    uses the issue. The other days skip it. If two events have the same time, the smaller event id counts as
    earlier. Each item of `days` is a pair: a day, and the folder of its batch of the table issues_v1. Raises
    LakeError if a batch is missing or damaged.
    """
    ids = [lake.read(lake.manifest(folder), ISSUES, ["issue_id"]).column("issue_id") for _, folder in days]
    all_ids = np.concatenate([np.empty(0, np.int64), *(column.to_numpy() for column in ids)])
    unique, counts = np.unique(all_ids, return_counts=True)
    repeated = unique[counts > 1]
    if not len(repeated):
        return {}
    return later_openings(
        lake,
        [
            day
            for day, column in zip(days, ids, strict=True)
            if pc.any(pc.is_in(column, pa.array(repeated))).as_py()
        ],
        repeated,
    )


def later_openings(
    lake: Lake, days: Sequence[tuple[str, str]], issue_ids: npt.NDArray[np.int64]
) -> dict[str, list[int]]:
    """Does the same as `duplicate_openings`, but only for the issues `issue_ids`. Returns a dict from the day
    to the sorted ids of the issues to skip on this day. `days` must contain all days that have one of these
    issues."""
    tables = []
    for position, (_, folder) in enumerate(days):
        table = lake.read(lake.manifest(folder), ISSUES, ["issue_id", "created_at", "event_id"])
        table = table.filter(pc.is_in(table.column("issue_id"), pa.array(issue_ids)))
        tables.append(
            table.append_column("position", pa.array(np.full(len(table), position, dtype=np.int32)))
        )
    rows = pa.concat_tables(tables)
    digits = pc.utf8_length(rows.column("event_id"))  # of two numbers, the one with fewer digits is smaller
    rows = rows.append_column("digits", digits).sort_by(
        [(name, "ascending") for name in ("issue_id", "created_at", "digits", "event_id")]
    )
    ids = rows.column("issue_id").to_numpy()
    repeated = np.concatenate([[False], ids[1:] == ids[:-1]])
    positions = rows.column("position").to_numpy()
    superseded: dict[str, set[int]] = {}
    for issue_id, position in zip(ids[repeated].tolist(), positions[repeated].tolist(), strict=True):
        superseded.setdefault(days[position][0], set()).add(issue_id)
    return {day: sorted(ids_of_day) for day, ids_of_day in sorted(superseded.items())}
