"""Stores the ids of all issues of the lake, to find issues that were opened on more than one day.

The ids of a period (a month or a year) are in one file, called a page. It is a Parquet file with the columns
`issue_id` and `day`, sorted by id. So the issues of a new day can be compared with the whole history without
reading the batches of issues of the other days.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.duplicate_openings import later_openings
from pipeline.lake.manifest import Manifest
from pipeline.lake.pages import PageName, group_by_period, periods_within, read_page_files, write_page

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class IdPage:
    """A page of ids: its file, and its smallest and largest id."""

    page: PageName
    first: int
    last: int


@dataclass(frozen=True)
class ChangedIds:
    """The result of updating the pages of ids. `pages` are the pages after the update. `affected` are the ids
    of all issues that the changed days have now or had before the change."""

    pages: Mapping[str, IdPage]
    affected: Ids


def update_ids(
    lake: Lake, pages: Mapping[str, IdPage], days: Sequence[str], changed: Mapping[str, Manifest]
) -> ChangedIds:
    """Updates the pages of ids after the issues of some days have changed. Writes a page for each period that
    is new or has a changed day. Returns all pages, and the ids of the issues that the change affects.

    `pages` are the pages before the change, by period. `days` are all days after the change, sorted.
    `changed` maps each new or changed day to its batch of issues_v1.
    """
    new_pages: dict[str, IdPage] = {}
    affected: list[Ids] = []
    for period, positions in group_by_period(days):
        changed_days = [day for day in days[positions] if day in changed]
        if period in pages and not changed_days:
            new_pages[period] = pages[period]
            continue
        names = [pages[earlier].page for earlier in periods_within(period, pages)]
        ids_before = pa.concat_tables([_EMPTY, *(parse_ids(data) for data in read_page_files(lake, names))])
        is_changed = pc.is_in(ids_before.column("day"), pa.array(_dates(changed_days), pa.date32()))
        affected.append(ids_before.filter(is_changed).column("issue_id").to_numpy())
        tables = [ids_before.filter(pc.invert(is_changed))]
        for day in changed_days:
            ids = lake.read(changed[day], ISSUES, ["issue_id"]).column("issue_id")
            affected.append(ids.to_numpy())
            days_of_ids = pa.repeat(pa.scalar(date.fromisoformat(day)), len(ids))
            tables.append(pa.table([ids, days_of_ids], schema=_SCHEMA))
        new_pages[period] = write_ids(lake, pa.concat_tables(tables))
    return ChangedIds(new_pages, np.unique(np.concatenate([np.empty(0, np.int64), *affected])))


def update_superseded(
    lake: Lake,
    superseded: Mapping[str, Sequence[int]],
    changed: ChangedIds,
    issues: Mapping[str, str],
) -> dict[str, list[int]]:
    """Updates the duplicate openings after the issues of some days have changed. A day skips these issues,
    because their earliest `opened` event is in another day. Returns a dict from the day to the sorted ids of
    the issues to skip, as `duplicate_openings` does.

    `superseded` is this dict as it was before the change. `changed` is the return value of `update_ids`.
    `issues` maps each day to the folder of its batch of issues_v1. Reads only days that have an affected
    issue with more than one `opened` event.
    """
    repeated = _repeated_ids(lake, changed)
    later: Mapping[str, Sequence[int]] = {}
    if len(repeated):
        days = sorted({str(day) for day in repeated.column("day").to_pylist()})
        ids = repeated.column("issue_id").to_numpy()
        later = later_openings(lake, [(day, issues[day]) for day in days], ids)
    unaffected = {
        day: np.setdiff1d(np.asarray(ids, np.int64), changed.affected).tolist()
        for day, ids in superseded.items()
    }
    result = {
        day: sorted({*unaffected.get(day, ()), *later.get(day, ())}) for day in sorted({*unaffected, *later})
    }
    return {day: ids for day, ids in result.items() if ids}


def days_of_issue(lake: Lake, pages: Iterable[IdPage], issue_id: int) -> list[str]:
    """Returns the days (YYYY-MM-DD) on which an issue was opened, according to `pages`, which are pages of
    ids. Reads only the pages whose range of ids includes the issue."""
    names = [page.page for page in pages if page.first <= issue_id <= page.last]
    days: list[str] = []
    for data in read_page_files(lake, names):
        table = parse_ids(data)
        rows = table.filter(pc.equal(table.column("issue_id"), issue_id))
        days += map(str, rows.column("day").to_pylist())
    return sorted(days)


def _repeated_ids(lake: Lake, changed: ChangedIds) -> pa.Table:
    """Returns the affected ids of issues that were opened on more than one day, with these days."""
    affected, of_pages = changed.affected, [_EMPTY]
    for page in changed.pages.values():
        inside = affected[(affected >= page.first) & (affected <= page.last)]
        if not len(inside):
            continue
        table = parse_ids(read_page_files(lake, [page.page])[0])
        ids = table.column("issue_id").to_numpy()
        starts = np.searchsorted(ids, inside)
        counts = np.searchsorted(ids, inside, "right") - starts
        rows_before = np.cumsum(counts) - counts
        of_pages.append(table.take(np.repeat(starts - rows_before, counts) + np.arange(counts.sum())))
    occurrences = pa.concat_tables(of_pages).combine_chunks()
    ids, counts = np.unique(occurrences.column("issue_id").to_numpy(), return_counts=True)
    return occurrences.filter(pc.is_in(occurrences.column("issue_id"), pa.array(ids[counts > 1], pa.int64())))


_SCHEMA = pa.schema([("issue_id", pa.int64()), ("day", pa.date32())])
_EMPTY = pa.Table.from_batches([], _SCHEMA)  # `empty_table` imports pandas


def _dates(days: Iterable[str]) -> list[date]:
    return [date.fromisoformat(day) for day in days]


def parse_ids(data: bytes) -> pa.Table:
    """Returns the content of a page of ids: a table with the columns `issue_id` and `day`."""
    return pq.read_table(io.BytesIO(data), schema=_SCHEMA)


def write_ids(lake: Lake, ids: pa.Table) -> IdPage:
    """Writes a page of ids. `ids` is a table with the columns `issue_id` and `day`, in any order of rows."""
    ids = ids.combine_chunks().sort_by([("issue_id", "ascending"), ("day", "ascending")])
    buffer = io.BytesIO()
    pq.write_table(
        ids,
        buffer,
        compression="zstd",
        column_encoding={"issue_id": "DELTA_BINARY_PACKED"},  # sorted ids: about a byte each
        use_dictionary=["day"],
    )
    return IdPage(write_page(lake, buffer.getvalue(), "parquet"), *id_range(ids))


def id_range(ids: pa.Table) -> tuple[int, int]:
    """Returns the smallest and the largest id of a page, whose rows are sorted. Both are 0 if the page has no
    rows."""
    column = ids.column("issue_id")
    return (column[0].as_py(), column[-1].as_py()) if len(ids) else (0, 0)
