"""The protocol that each warehouse implements, and the types of its arguments and results."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

import pyarrow as pa

from pipeline import contracts
from pipeline.errors import SourceError, UsageError
from pipeline.warehouse.query import Query
from pipeline.warehouse.sql_parser import parameters_of

MALFORMED_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)
FIRST_DAY = date(2015, 1, 1)  # the first day with GH Archive's present format
COMMENT_SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string()),
        pa.field("comment_url", pa.string()),
        pa.field("issue_id", pa.int64()),
        pa.field("issue_url", pa.string()),
        pa.field("repo", pa.string()),
        pa.field("number", pa.int64()),
        pa.field("author", pa.string()),
        pa.field("said_by", pa.string()),
        pa.field("created_at", contracts.TIMESTAMP),
        pa.field("body", pa.string()),
    ]
)
"""The columns of sql/extract_duplicate_marks.sql. Any value may be NULL."""
MALFORMED_TEXT_LENGTH = 10_000  # number of characters that are stored of a malformed line
MALFORMED_PER_FILE = 200  # largest number of malformed lines stored per file; the others are only counted
Purpose = Literal["plan", "publish"]
WAREHOUSE_TABLES = {name for name, table in contracts.TABLES.items() if "warehouse" in table.lives_in}
FAILURE_ROWS = 100  # largest number of rows reported for a failed check


@dataclass(frozen=True)
class SourceTable:
    """The BigQuery table in which GH Archive publishes the events of one source day.

    `rows` is the table's number of rows, or None if the table does not exist. `changed` is the time at which
    GH Archive last added rows. GH Archive adds the hours of a day one by one. `bytes` is the size of the
    whole table. A query is billed only for the columns that it reads. `missing_columns` are columns that the
    extraction needs, but that the table lacks.
    """

    name: str
    rows: int | None
    changed: datetime | None = None
    bytes: int = 0
    missing_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceFile:
    """An hour file on this machine.

    - `path`: its path.
    - `label`: the name under which its events and malformed lines are counted. No other file of the day has
      the same label.
    - `base`: the address or the folder that the file is from.
    - `hours`: the hours of the day (UTC, 0 to 23) whose events are read from the file. An event belongs to
      the hour in which it was created. None means that all events of the file are read.
    - `is_following`: whether the file is from an hour that is not one of `hours`, but follows one of them.
      It is then read only for events of `hours` that were crawled late. Its malformed lines are not counted.
    """

    path: Path
    label: str
    base: str = ""
    hours: frozenset[int] | None = None
    is_following: bool = False

    @classmethod
    def of(cls, file: Path | SourceFile) -> SourceFile:
        """Returns `file` itself if it is a SourceFile. If `file` is a path, returns a SourceFile whose events
        are all read."""
        return file if isinstance(file, SourceFile) else cls(file, file.name)


@dataclass(frozen=True)
class Extraction:
    """The result of extracting a source day.

    - `issues`: the day's issues with the columns of EXTRACTED_ISSUES, as record batches. They can be read
      only once.
    - `events`: the number of well-formed events of all types.
    - `malformed`: a table of malformed events with MALFORMED_SCHEMA. It has at most MALFORMED_PER_FILE events
      per file, each cut to MALFORMED_TEXT_LENGTH characters. `line` is the event's line number; blank lines
      are not counted. If a BigQuery table was read, `file` is the table's name, and `line` is the event's id.
    - `omitted_malformed`: the number of malformed events that `malformed` does not list.
    - `malformed_issues`: how many malformed events, listed or omitted, open an issue.
    - `events_per_file`: maps the label of each hour file to its number of well-formed events, of all types
      and all hours. Empty if a BigQuery table was read.
    - `crawled_per_hour`: maps a base (see SourceFile) to the number of its events in each hour. Files whose
      `hours` are None do not count. An event that is in several files of a base counts once.
    - `events_per_hour`: maps each hour of the day (UTC) that has events to the number of its events. Empty if
      hour files were read.
    - `labels`: maps the event ids of issues and comments to the label of the hour file that they are from.
      Empty if all files are from the same base.
    - `comments`: a table with COMMENT_SCHEMA. It has the comments that may call an issue a duplicate of
      another issue.
    - `cost`: maps `job_id`, `bytes_estimated`, `bytes_billed` and `usd` to their values. Empty if the
      extraction was free.
    """

    issues: pa.RecordBatchReader
    events: int
    malformed: pa.Table
    omitted_malformed: int = 0
    malformed_issues: int = 0
    events_per_file: Mapping[str, int] = field(default_factory=dict)
    crawled_per_hour: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    events_per_hour: Mapping[int, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    comments: pa.Table = field(default_factory=COMMENT_SCHEMA.empty_table)
    cost: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """A batch to publish: a set of Parquet `files` in the lake, with `rows` rows in total. All rows are of
    the source day `day`.

    If `has_all_columns` is true, the files have the columns that this version of Titler writes. Otherwise
    they may lack columns that were added to the table later. `digests` are the SHA-256 of the files, in the
    same order. If the warehouse reads or copies a file itself, it checks the file's digest.
    """

    batch_id: str
    day: date
    rows: int
    files: tuple[str, ...]
    has_all_columns: bool = False
    digests: tuple[str, ...] = ()

    def digest_of(self, file: str) -> str:
        """Returns the SHA-256 of one of the files, or an empty string if it is not known."""
        return dict(zip(self.files, self.digests, strict=False)).get(file, "")


class ReleaseTables:
    """All rows of the three tables that describe releases. They list every retained release.

    - `releases`: the table releases_v1. The release to publish has the status `current`.
    - `members`: the table release_members_v1, with the batches of these releases.
    - `superseded`: the table superseded_openings_v1, with the duplicate openings that these releases skip.
      An opening is a duplicate if an earlier day already has the issue.
    - `current`: the id of the release to publish.

    Raises ContractError if a table does not have the columns of its contract. Raises UsageError unless
    exactly one release has the status `current`.
    """

    def __init__(self, releases: pa.Table, members: pa.Table, superseded: pa.Table) -> None:
        self.releases = contracts.RELEASES.conform(releases)
        self.members = contracts.RELEASE_MEMBERS.conform(members)
        self.superseded = contracts.SUPERSEDED_OPENINGS.conform(superseded)
        current = [
            str(row["release_id"])
            for row in self.releases.select(["release_id", "status"]).to_pylist()
            if row["status"] == "current"
        ]
        if len(current) != 1:
            raise UsageError(
                f"Exactly one release must have the status current; found {len(current)}: "
                f"{', '.join(current) or 'none'}."
            )
        self.current = current[0]

    def checks(self, published: Sequence[Mapping[str, Any]]) -> list[Query]:
        """Returns the checks in `sql/checks`. Their parameters are the release to publish, its new batches,
        and the source days of these batches.

        `published` are the rows of the table release_members_v1 that readers see. A batch is new if none of
        these rows lists it. The other batches have passed the checks before, and a batch never changes. If no
        batch is new, the checks of batches are left out.
        """
        checked = {(row["table_name"], row["batch_id"]) for row in published}
        new = [
            row
            for row in self.members.select(["release_id", "table_name", "day", "batch_id"]).to_pylist()
            if row["release_id"] == self.current and (row["table_name"], row["batch_id"]) not in checked
        ]
        days, batches = ({row[name] for row in new} for name in ("day", "batch_id"))
        first_day = min(days, default=date.max)
        checks = Query.folder(
            "checks", release=self.current, days=sorted(days), first_day=first_day, batches=sorted(batches)
        )
        return [check for check in checks if new or "batches" not in parameters_of(check.sql)]


@dataclass(frozen=True)
class Failure:
    """A failed check of a release: a query of `sql/checks` has found wrong rows.

    `count` is the number of wrong rows. `rows` has the first FAILURE_ROWS of them.
    """

    check: str
    prose: str
    count: int
    rows: pa.Table


class StagedRelease(Protocol):
    """A release that is complete in the warehouse but not yet visible to readers.

    Use it in a `with` block. If `make_current` was not called, the end of the block discards the release.
    """

    def __enter__(self) -> StagedRelease: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def check(self) -> list[Failure]:
        """Runs the checks: the queries of `sql/checks`, which look for wrong rows in the release. Returns the
        failed checks.

        Batches that a published release of this warehouse already has are not checked again.
        """
        ...

    def query(self, query: Query) -> pa.Table:
        """Runs a query as if this release were current, and returns its rows."""
        ...

    def make_current(self) -> None:
        """Replaces the current release with this one in one atomic step. A second call changes nothing."""
        ...


class Warehouse(Protocol):
    """The operations of a warehouse. Each implementation must pass `tests/warehouse/test_contract.py`."""

    def source_day(self, day: date) -> SourceTable | None:
        """Returns the BigQuery table of a source day. The request is free of charge.

        Returns None if the warehouse reads hour files instead of tables.
        """
        ...

    def estimate(self, query: Query, day: date) -> int:
        """Returns how many bytes BigQuery would bill for extracting a source day. Reads no rows.

        Returns 0 if the warehouse reads hour files.
        """
        ...

    def extract(
        self, query: Query, day: date, files: Sequence[Path | SourceFile], attempt: str = ""
    ) -> Extraction:
        """Extracts the issues of a source day with `query`, the statement in sql/extract_issues.sql. In the
        same pass, also extracts the comments that may mark duplicates (sql/extract_duplicate_marks.sql).

        Sets the parameters @first_suffix and @last_suffix to the table suffix of `day`. The DuckDB warehouse
        reads the hour files `files`. If files of several bases have the same event, it is taken from the
        first of these files, so preferred files must come first. If an item of `files` is a path, all events
        of the file are read.

        The BigQuery warehouse reads GH Archive's table of the day. If an earlier call had the same query,
        day and `attempt`, and the table still has the same number of rows, the BigQuery job of that call is
        reused. So no query is paid for twice.

        Raises SourceError if the day's events have the format from before 2015, and BudgetError if the query
        would exceed a budget.
        """
        ...

    def load(self, table: contracts.Table, batches: Sequence[Batch]) -> None:
        """Loads batches (sets of Parquet files) into a table. Skips batches that are already loaded.

        Readers see the rows of a batch only after a release that contains the batch has become current.
        """
        ...

    def stage(self, tables: ReleaseTables, batches: Mapping[str, Sequence[Batch]]) -> StagedRelease:
        """Prepares a new release, which can then be checked and made current. Readers do not see the release
        yet.

        `batches` maps table names to the batches that `tables.members` lists. If `batches` has no batches
        of a table, the table is empty in the new release.
        """
        ...

    def exclusive_lock(self, purpose: Purpose) -> AbstractContextManager[None]:
        """Returns a lock for a `with` block. There is one lock per purpose, and only one process at a time
        can hold it.

        Use the purpose `plan` to plan a release or to remove unused batches. Use `publish` to change which
        release is current, or to remove releases or rows.

        The lock is released at the end of the block, or when the process dies. Raises TitlerError if another
        process holds the lock for several minutes.
        """
        ...

    def current_release(self) -> str | None:
        """Returns the id of the release that readers see, or None before the first release."""
        ...

    def records(self, table: contracts.Table) -> list[dict[str, Any]]:
        """Returns the rows of the table releases_v1 or release_members_v1, as readers see them. The request
        is free of charge.

        Returns an empty list before the first release.
        """
        ...

    def query(self, query: Query) -> pa.Table:
        """Runs an analyst's query on the views and table functions of `sql/`, and returns its rows.

        Raises UsageError if the query fails or if no release has been published yet.
        """
        ...

    def delete_batches_except(
        self, retained_batches: Mapping[str, Collection[str]], *, at_once: bool = False
    ) -> int:
        """Deletes the rows of all batches that are not in `retained_batches`, which maps table names to batch
        ids.

        Returns the number of deleted rows. The DuckDB warehouse stores no rows of batches, so it returns 0.
        It may have copies of the batches' files, which it deletes only after a while, because a reader may
        need them. If `at_once` is true, it deletes these copies immediately.
        """
        ...

    def recovery_period(self) -> timedelta:
        """Returns how long rows can still be recovered after they were deleted, or zero if they cannot."""
        ...


def timeline_error(events: str) -> SourceError:
    """Returns the error for events from before 2015. The message begins with `events`, for example "Most
    events of 2014-12-31-0.json.gz"."""
    return SourceError(
        f"{events} have the format of the Timeline API, which GH Archive used before {FIRST_DAY}. Such "
        "events have no titles and bodies, so Titler cannot read them.",
        f"Extract only {FIRST_DAY} and later days, for example: "
        f"titler extract --from {FIRST_DAY} --to {FIRST_DAY + timedelta(days=6)}",
        final=True,
    )


def validate_table_names(names: Collection[str]) -> None:
    """Raises UsageError if one of `names` is not a table of the warehouse."""
    if surplus := sorted(set(names) - WAREHOUSE_TABLES):
        raise UsageError(
            f"{surplus[0]} is not a table of the warehouse. "
            f"Its tables are: {', '.join(sorted(WAREHOUSE_TABLES))}."
        )
