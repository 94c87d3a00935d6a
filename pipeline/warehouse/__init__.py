"""Warehouses behind one narrow protocol. Its SQL is BigQuery's; the embedded DuckDB translates it."""

from __future__ import annotations

import uuid
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
from pipeline.settings import Settings

SQL = Path(__file__).resolve().parents[2] / "sql"

MALFORMED = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)
TEXT_KEPT = 10_000  # characters of a malformed line
MALFORMED_KEPT = 200  # malformed lines of a file; the others are counted


@dataclass(frozen=True)
class Query:
    """A SELECT in BigQuery's dialect with its `@named` parameters."""

    name: str
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_file(cls, name: str, **parameters: Any) -> Query:
        """The statement of `sql/NAME.sql`. Raises UsageError, naming those there are, when there is none."""
        path = SQL / f"{name}.sql"
        if not path.is_file():
            known = sorted(str(file.relative_to(SQL).with_suffix("")) for file in SQL.rglob("*.sql"))
            raise UsageError(f"sql/{name}.sql: no such query.", f"There are: {', '.join(known)}")
        return cls(name, path.read_text(encoding="utf-8"), parameters)

    @classmethod
    def folder(cls, name: str, **parameters: Any) -> list[Query]:
        """The statements of `sql/NAME/`, by name."""
        return [
            cls.from_file(f"{name}/{file.stem}", **parameters) for file in sorted((SQL / name).glob("*.sql"))
        ]

    @property
    def stem(self) -> str:
        """Its name without the folder: what a view, a table function or a check is called."""
        return self.name.rpartition("/")[2]

    @property
    def prose(self) -> str:
        """Its first comment, which states the grain."""
        return self.sql.splitlines()[0].removeprefix("--").strip()

    def binding(self, names: Collection[str], **more: Any) -> dict[str, Any]:
        """The values of the parameters `names`, from the query's own and `more`. Raises UsageError for one without a value."""
        values = {**self.parameters, **more}
        for name in sorted(names):
            if name not in values:
                raise UsageError(
                    f"{self.name}: parameter @{name} has no value; given: {', '.join(sorted(values)) or 'none'}."
                )
        return {name: values[name] for name in names}


@dataclass(frozen=True)
class SourceTable:
    """A source day as a warehouse holds it itself: its table, and what changes when the table does. No table: `rows` is None.

    `changed` is when something was last added: GH Archive adds each hour as it comes.
    """

    name: str
    rows: int | None
    changed: datetime | None = None


@dataclass(frozen=True)
class Extraction:
    """What a source day gave.

    `issues` conforms to issues_v1 and is read once, in batches. `events` counts the well-formed events of all types. `malformed`
    (schema `MALFORMED`) has what is not: its file or table, its place among the file's non-blank lines from 1 (in a table: the event's
    number), why, and the first `TEXT_KEPT` characters. Beyond the first `MALFORMED_KEPT` of a file they are only counted: `left_out` is how
    many. `hours` are those that have events, where a table was read; `cost` is what that cost (`job_id`, `bytes_estimated`,
    `bytes_billed`, `usd`), empty where it was free.
    """

    issues: pa.RecordBatchReader
    events: int
    malformed: pa.Table
    left_out: int = 0
    hours: tuple[int, ...] = ()
    cost: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """A batch of a table, as a warehouse takes it: the Parquet `files` together have `rows` rows of source day `day`."""

    batch_id: str
    day: date
    rows: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A check of `sql/checks` that found rows; `rows` has the first hundred of `count`."""

    check: str
    prose: str
    count: int
    rows: pa.Table


class Staged(Protocol):
    """A release that is complete in the warehouse and that no reader sees yet. Leaving its `with` discards it unless made current."""

    def __enter__(self) -> Staged: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def check(self) -> list[Failure]:
        """What `sql/checks` finds wrong with it; healthy: nothing."""
        ...

    def query(self, query: Query) -> pa.Table:
        """A query as analysts would see it once this is current."""
        ...

    def make_current(self) -> None:
        """One step: readers see the old release before it and this one after. Can be repeated."""
        ...


class Warehouse(Protocol):
    """What Titler asks of a warehouse. Each is held to `tests/warehouse/test_contract.py`."""

    def source_day(self, day: date) -> SourceTable | None:
        """The table of a source day; None from a warehouse that has none and reads hour files. Costs nothing."""
        ...

    def estimate(self, query: Query, day: date) -> int:
        """Bytes that extracting a source day would have billed; nothing is read. 0 from a warehouse that reads hour files."""
        ...

    def extract(self, query: Query, day: date, files: Sequence[Path], attempt: str = "") -> Extraction:
        """The issues of a source day by `query` (sql/extract_issues.sql), which gets @first_suffix and @last_suffix from `day`.

        The embedded warehouse reads the hour files `files`, in memory; BigQuery its own table of the day, as the same job whenever
        query, day, table and `attempt` are the same, so that nothing is paid twice.
        Raises SourceError for hour files from before 2015, BudgetError for what would cost more than the settings allow.
        """
        ...

    def load(self, table: contracts.Table, batches: Sequence[Batch]) -> None:
        """Brings batches in, of which no reader sees anything yet. Those that are in already stay; the embedded warehouse needs none."""
        ...

    def stage(self, releases: pa.Table, members: pa.Table, batches: Mapping[str, Sequence[Batch]]) -> Staged:
        """A release set up beside the current one, to check and then make current.

        `releases` is releases_v1, whole: every kept release, the one to publish with status `current`. `members` is
        release_members_v1 of them all, and `batches` per table name are those that they name. A table without batches is empty.
        Raises ContractError where tables do not conform, UsageError unless exactly one release is `current`.
        """
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Holds off whoever else asks for the same until its `with` is left, or its process gone. Raises TitlerError after minutes."""
        ...

    def current_release(self) -> str | None:
        """The id of the release that readers see; None before the first."""
        ...

    def records(self, table: contracts.Table) -> list[dict[str, Any]]:
        """The rows of releases_v1 or release_members_v1, as readers see them; none before the first release. Costs nothing."""
        ...

    def query(self, query: Query) -> pa.Table:
        """The rows of an analyst's query on what `sql/views` and `sql/functions` define. Raises UsageError for one that does not run."""
        ...

    def collect(self, kept_batches: Mapping[str, Collection[str]]) -> int:
        """Deletes, per table name, the rows of all batches but these; how many went. The embedded warehouse holds none."""
        ...


RUN = uuid.uuid4().hex
"""One command, as budgets know it; handed to other processes that work for it."""


def connect(settings: Settings, verb: str, run: str = "", release_id: str | None = None) -> Warehouse:
    """The warehouse that the settings name. `verb` is who asks and `release_id` for which release, `run` the command (default: this one).

    Raises UsageError for settings that name none: a DuckDB file on another machine, BigQuery without a project.
    """
    if settings.warehouse.kind == "bigquery":
        from pipeline.warehouse.bigquery import BigQueryWarehouse

        return BigQueryWarehouse(settings.warehouse, verb, run or RUN, release_id)
    local = settings.warehouse_path.removeprefix("file://")
    if "://" in local:
        raise UsageError(
            f"warehouse.path = {settings.warehouse_path}: DuckDB's file lies on this machine.",
            "Set warehouse.path to a local path.",
        )
    from pipeline.warehouse.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(local)


def current_of(releases: pa.Table, members: pa.Table) -> tuple[str, pa.Table, pa.Table]:
    """The id of the one release with status `current`, and both tables as their contracts have them.

    Raises UsageError when none or several are, ContractError when a table does not conform.
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
            f"A warehouse shows one release; found {len(current)} with status current: {', '.join(current) or 'none'}."
        )
    return current[0], releases, members


def suffix(day: date) -> str:
    """What follows `githubarchive.day.20` in the name of a day's table."""
    return f"{day:%y%m%d}"
