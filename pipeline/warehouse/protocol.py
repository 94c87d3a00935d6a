"""The protocol that each warehouse implements, and the values that it takes and returns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import pyarrow as pa

from pipeline import contracts
from pipeline.errors import UsageError
from pipeline.warehouse.query import Query

MALFORMED_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)
MALFORMED_TEXT_LENGTH = 10_000  # characters of a malformed line that are stored
MALFORMED_PER_FILE = 200  # malformed lines of a file that are stored; the others are only counted
WAREHOUSE_TABLES = {name for name, table in contracts.TABLES.items() if "warehouse" in table.lives_in}
FAILURE_ROWS = 100  # rows of a failed check that are reported


@dataclass(frozen=True)
class SourceTable:
    """The table of a source day in a warehouse that stores the source itself.

    `rows` is None if there is no such table.

    `changed` is when rows were last added: GH Archive adds each hour as it comes.
    """

    name: str
    rows: int | None
    changed: datetime | None = None


@dataclass(frozen=True)
class Extraction:
    """The result of extracting a source day.

    `issues` conforms to issues_v1 and can be read once, in record batches. `events` counts the well-formed
    events of all types. `malformed` (MALFORMED_SCHEMA) lists what is not well-formed: its file or table; its
    position among the file's non-blank lines, from 1, or in a table the event's id; the reason; and the first
    MALFORMED_TEXT_LENGTH characters. At most MALFORMED_PER_FILE are listed per file; `omitted_malformed`
    counts the others. `hours` are the hours that have events, if a table was read. `cost` has `job_id`,
    `bytes_estimated`, `bytes_billed` and `usd`; it is empty if the extraction was free.
    """

    issues: pa.RecordBatchReader
    events: int
    malformed: pa.Table
    omitted_malformed: int = 0
    hours: tuple[int, ...] = ()
    cost: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """A lake batch to publish: the Parquet `files` have `rows` rows in total, all of source day `day`."""

    batch_id: str
    day: date
    rows: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A check of `sql/checks` that found rows: `count` rows, of which `rows` has the first FAILURE_ROWS."""

    check: str
    prose: str
    count: int
    rows: pa.Table


class StagedRelease(Protocol):
    """A release that is complete in the warehouse but not visible to readers.

    Leaving the `with` discards it unless it is current.
    """

    def __enter__(self) -> StagedRelease: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def check(self) -> list[Failure]:
        """The checks of `sql/checks` that fail. Empty if the release is healthy."""
        ...

    def query(self, query: Query) -> pa.Table:
        """The rows that analysts would get from a query if this release were current."""
        ...

    def make_current(self) -> None:
        """Replaces the current release in one atomic step. Idempotent."""
        ...


class Warehouse(Protocol):
    """What Titler needs of a warehouse. Each implementation must pass `tests/warehouse/test_contract.py`."""

    def source_day(self, day: date) -> SourceTable | None:
        """The table of a source day. None if the warehouse reads hour files instead. Costs nothing."""
        ...

    def estimate(self, query: Query, day: date) -> int:
        """Bytes that extracting a source day would bill.

        Reads no rows. 0 if the warehouse reads hour files.
        """
        ...

    def extract(self, query: Query, day: date, files: Sequence[Path], attempt: str = "") -> Extraction:
        """The issues of a source day, by `query` (sql/extract_issues.sql) with @first_suffix and @last_suffix
        set to `day`.

        The embedded warehouse reads the hour files `files`, in memory. BigQuery reads its own table of the
        day. It reuses the job of an earlier call with the same query, day, table and `attempt`, so that
        nothing is paid for twice. Raises SourceError if hour files are from before 2015, BudgetError if the
        query would exceed a budget.
        """
        ...

    def load(self, table: contracts.Table, batches: Sequence[Batch]) -> None:
        """Loads batches, which stay invisible to readers until a release names them.

        Batches that are loaded already are skipped.
        """
        ...

    def stage(
        self, releases: pa.Table, members: pa.Table, batches: Mapping[str, Sequence[Batch]]
    ) -> StagedRelease:
        """Prepares a release beside the current one, so that it can be checked and then made current.

        `releases` is the whole table releases_v1: every kept release, with status `current` for the one to
        publish. `members` is release_members_v1 of all of them. `batches` has, per table name, the batches
        that the members name; a table without batches is empty. Raises ContractError if a table does not
        conform, UsageError unless exactly one release is `current`.
        """
        ...

    def exclusive_lock(self) -> AbstractContextManager[None]:
        """Exclusive lock, released on exit or when the process dies.

        Raises TitlerError if another process holds it for minutes.
        """
        ...

    def current_release(self) -> str | None:
        """The id of the release that readers see. None before the first release."""
        ...

    def records(self, table: contracts.Table) -> list[dict[str, Any]]:
        """The rows of releases_v1 or release_members_v1, as readers see them.

        Empty before the first release. Costs nothing.
        """
        ...

    def query(self, query: Query) -> pa.Table:
        """The rows of an analyst's query on the views and functions of `sql/`.

        Raises UsageError if the query does not run.
        """
        ...

    def delete_batches_except(self, retained_batches: Mapping[str, Collection[str]]) -> int:
        """Deletes the rows of all batches that are not in `retained_batches` (batch ids per table name).

        Returns how many rows it deleted. The embedded warehouse stores no rows and returns 0.
        """
        ...


def validate_release_tables(releases: pa.Table, members: pa.Table) -> tuple[str, pa.Table, pa.Table]:
    """The id of the one release with status `current`, and both tables in the form of their contracts.

    Raises UsageError unless exactly one release is current, ContractError if a table does not conform.
    """
    releases = contracts.RELEASES.conform(releases)
    members = contracts.RELEASE_MEMBERS.conform(members)
    current = [
        row["release_id"]
        for row in releases.select(["release_id", "status"]).to_pylist()
        if row["status"] == "current"
    ]
    if len(current) != 1:
        raise UsageError(
            f"A warehouse shows one release; found {len(current)} with status current: "
            f"{', '.join(current) or 'none'}."
        )
    return current[0], releases, members


def validate_table_names(names: Collection[str]) -> None:
    """Raises UsageError if a table does not live in the warehouse."""
    if surplus := sorted(set(names) - WAREHOUSE_TABLES):
        raise UsageError(
            f"{surplus[0]} does not live in the warehouse, which has: {', '.join(sorted(WAREHOUSE_TABLES))}."
        )
