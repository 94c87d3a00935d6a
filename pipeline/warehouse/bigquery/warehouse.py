"""The BigQuery implementation of `Warehouse`.

Issues are extracted from GH Archive's data set. Batches and releases are stored in a data set of the user's
own project. The tables there hold the rows of all batches, each row with its `batch_id`. The table
`release_members_v1` lists the batches of each release, and the table `releases_v1` says which release is
current. So readers see no change until one transaction updates these two small tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from google.api_core import exceptions

from pipeline import contracts
from pipeline.errors import UsageError
from pipeline.progress import say, track
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery import views
from pipeline.warehouse.bigquery.client import REQUEST_TIMEOUT, connect_storage
from pipeline.warehouse.bigquery.errors import RejectedError, translated_errors
from pipeline.warehouse.bigquery.gh_archive import (
    COMMENTS_PART,
    EXTRACTED,
    ISSUES_PART,
    MALFORMED_PART,
    SOURCE_COLUMNS,
    SOURCE_TABLES,
    column_names,
    day_query,
    malformed_table,
    refuse_missing_columns,
    refuse_timeline,
)
from pipeline.warehouse.bigquery.jobs import FinishedQuery, Jobs, Statement, cost_of, fingerprint
from pipeline.warehouse.bigquery.lease import hold_lease
from pipeline.warehouse.bigquery.load_jobs import PARTITIONS_PER_JOB
from pipeline.warehouse.bigquery.results import read_record_batches
from pipeline.warehouse.bigquery.staged_release import StagedTables
from pipeline.warehouse.bigquery.tables import Tables
from pipeline.warehouse.protocol import (
    COMMENT_SCHEMA,
    WAREHOUSE_TABLES,
    Batch,
    Extraction,
    Purpose,
    ReleaseTables,
    SourceFile,
    SourceTable,
    validate_table_names,
)
from pipeline.warehouse.query import Query, canonical_sql, table_suffix
from pipeline.warehouse.sql_parser import parameters_of, replace_tables

VECTOR_INDEX_ROWS = 5000  # BigQuery builds no vector index for fewer rows
TIME_TRAVEL_HOURS = 168  # of a data set that does not set it
FAIL_SAFE = timedelta(days=7)


class _DayParts(NamedTuple):
    """The parts of a day's result: the issues as record batches, a table with the first MALFORMED_PER_FILE
    malformed events, the number of all malformed events, and the comments that may mark duplicates."""

    issues: Iterator[pa.RecordBatch]
    malformed: pa.Table
    malformed_count: int
    comments: pa.Table


class BigQueryWarehouse:
    """The warehouse in one data set of one BigQuery project.

    The costs of its queries are recorded with three values: `verb` is the command, such as `publish`, `run`
    is the id of one run of the command, and `release_id` is the release that the command works on, or None.
    """

    def __init__(self, settings: Settings, verb: str, run: str = "", release_id: str | None = None) -> None:
        self.settings = settings
        self.jobs = Jobs(settings, verb, run, release_id)
        self.tables = Tables(self.jobs)
        self._members: list[dict[str, Any]] | None = None
        self._loaded: set[tuple[str, str]] = set()

    @cached_property
    def addresses(self) -> dict[str, str]:
        """Maps the name of every table, view and table function to its address in BigQuery, in backticks."""
        defined = [query.stem for folder in ("views", "functions") for query in Query.folder(folder)]
        return {
            **{name: f"`{self.tables.address(name)}`" for name in contracts.TABLES},
            **{name: f"`{self.jobs.views_dataset}.{name}`" for name in defined},
        }

    def source_day(self, day: date) -> SourceTable:
        name = f"{SOURCE_TABLES}{table_suffix(day)}"
        with translated_errors(self.settings, f"looking for {name}"):
            try:
                table = self.jobs.client.get_table(name, timeout=REQUEST_TIMEOUT)
                missing = tuple(sorted(SOURCE_COLUMNS - column_names(table.schema)))
                size = int(table.num_bytes or 0)
                return SourceTable(name, int(table.num_rows or 0), table.modified, size, missing)
            except exceptions.NotFound:
                return SourceTable(name, None)

    def estimate(self, query: Query, day: date) -> int:
        refuse_timeline(day)
        table = self.source_day(day)
        if table.rows is None:
            return 0
        refuse_missing_columns(table)
        return sum(self.jobs.estimate(statement) for statement in self._statements(query, day))

    def extract(
        self, query: Query, day: date, files: Sequence[Path | SourceFile] = (), attempt: str = ""
    ) -> Extraction:
        refuse_timeline(day)
        table = self.source_day(day)
        if table.rows is None:
            return Extraction(
                contracts.EXTRACTED_ISSUES.empty().to_reader(), 0, malformed_table([], table.name)
            )
        refuse_missing_columns(table)
        self._ensure_ledger()
        queries: list[FinishedQuery] = []
        for statement in self._statements(query, day):
            key = fingerprint(
                self.jobs.dataset,
                table.name,
                table.rows,
                canonical_sql(statement.sql),
                sorted(statement.parameters.items()),
                attempt,
            )
            billed = sum(query.billed for query in queries)
            queries.append(self.jobs.query_once(f"{day:%Y%m%d}_{key}", statement, day, billed))
        hours_query, issues_query = queries
        hour_rows = self.jobs.rows(hours_query)
        with translated_errors(self.settings, f"reading the issues of {day}"):
            parts = self._split(issues_query, table.name)
            issues = pa.RecordBatchReader.from_batches(contracts.EXTRACTED_ISSUES.schema, parts.issues)
        return Extraction(
            issues,
            events=sum(row["events"] for row in hour_rows),
            malformed=parts.malformed,
            omitted_malformed=parts.malformed_count - len(parts.malformed),
            malformed_issues=parts.malformed_count,
            events_per_hour={row["hour"]: row["events"] for row in hour_rows},
            comments=parts.comments,
            cost=cost_of(queries, self.settings),
        )

    def load(self, table: contracts.Table, batches: Sequence[Batch]) -> None:
        self._ensure_ledger()
        published = self._published_batches(table)
        rows_of_batches = {batch_id: rows for batch_id, (_, rows) in published.items()}
        loaded = self.tables.load(table, batches, rows_of_batches)
        self._loaded |= {(table.name, batch.batch_id) for batch in loaded}

    def stage(self, tables: ReleaseTables, batches: Mapping[str, Sequence[Batch]]) -> StagedTables:
        validate_table_names(batches)
        self._ensure_ledger()
        for name in sorted(WAREHOUSE_TABLES):
            self.tables.ensure(contracts.TABLES[name])
        checked = [
            row
            for row in self._published_members()
            if (row["table_name"], row["batch_id"]) not in self._loaded  # someone had deleted its rows
        ]
        return StagedTables(self, tables, tables.checks(checked))

    def exclusive_lock(self, purpose: Purpose) -> AbstractContextManager[None]:
        return hold_lease(self.jobs, purpose)

    def current_release(self) -> str | None:
        rows = self.records(contracts.RELEASES)
        return next((str(row["release_id"]) for row in rows if row["status"] == "current"), None)

    def records(self, table: contracts.Table) -> list[dict[str, Any]]:
        return self.tables.all_rows(table.name) or []

    def query(self, query: Query) -> pa.Table:
        return self.run_query(query)

    def run_query(self, query: Query, replacements: Mapping[str, str] | None = None) -> pa.Table:
        """Runs a query and returns its rows.

        `replacements` maps the names of tables and views to the text that replaces them in the SQL. By
        default, each name is replaced by its address. Raises UsageError if the query fails or no release was
        published yet.
        """
        parameters = query.binding(parameters_of(query.sql))
        self._ensure_ledger()
        if self.current_release() is None and replacements is None:
            raise UsageError(
                f"No release has been published in {self.jobs.dataset} yet.",
                "Publish a release: titler run --from DAY --to DAY",
            )
        sql = replace_tables(query.sql, replacements or self.addresses)
        try:
            result = self.jobs.query(Statement(f"running the query {query.name}", sql, parameters))
        except RejectedError as error:
            names = ", ".join(view.stem for view in Query.folder("views"))
            raise UsageError(
                f"The query {query.name} cannot be run: {error.message}", f"The views are: {names}"
            ) from None
        with translated_errors(self.settings, f"reading the result of {query.name}"):
            return result.job.to_arrow(create_bqstorage_client=False, timeout=self.settings.timeout)

    def delete_batches_except(
        self, retained_batches: Mapping[str, Collection[str]], *, at_once: bool = False
    ) -> int:
        deleted_rows = 0
        self._ensure_ledger()
        for table in contracts.TABLES.values():
            if table.name not in WAREHOUSE_TABLES or not table.partition:
                continue
            stored = self._stored_batches(table)
            stale = sorted(set(stored) - set(retained_batches.get(table.name, ())))
            for start in range(0, len(stale), PARTITIONS_PER_JOB):
                group = stale[start : start + PARTITIONS_PER_JOB]
                self._delete_batches(table, {batch_id: stored[batch_id] for batch_id in group})
            deleted_rows += sum(stored[batch_id][1] for batch_id in stale)
        return deleted_rows

    def recovery_period(self) -> timedelta:
        """Returns how long deleted rows can still be recovered: during the data set's time travel window, and
        then during BigQuery's fail-safe period."""
        with translated_errors(self.settings, f"reading the data set {self.jobs.dataset}"):
            data_set = self.jobs.client.get_dataset(self.jobs.dataset, timeout=REQUEST_TIMEOUT)
        return timedelta(hours=data_set.max_time_travel_hours or TIME_TRAVEL_HOURS) + FAIL_SAFE

    def _delete_batches(self, table: contracts.Table, batches: Mapping[str, tuple[date, int]]) -> None:
        """Deletes the rows of batches from a table, and the rows for these batches in release_members_v1."""
        parameters = {"batches": sorted(batches), "days": sorted({day for day, _ in batches.values()})}
        targets = [(table.name, table.day_column)]
        if batches.keys() & self._published_batches(table).keys():
            targets.insert(0, (contracts.RELEASE_MEMBERS.name, "day"))  # a batch that is listed has its rows
        for name, day in targets:
            sql = (
                f"DELETE FROM {self.addresses[name]} "
                f"WHERE {day} IN UNNEST(@days) AND batch_id IN UNNEST(@batches)"
            )
            self.jobs.query(Statement(f"deleting {len(batches)} batches from {name}", sql, parameters))
        self.forget_published()

    def _published_members(self) -> list[dict[str, Any]]:
        """Returns the rows of the table release_members_v1, as readers see them. Keeps the rows in memory
        until `forget_published` is called."""
        if self._members is None:
            self._members = self.records(contracts.RELEASE_MEMBERS)
        return self._members

    def forget_published(self) -> None:
        """Discards the cached list of published batches. Must be called after the published batches have
        changed."""
        self._members = None
        self._loaded = set()

    def _published_batches(self, table: contracts.Table) -> dict[str, tuple[date, int]]:
        """Maps the id of each published batch of a table to its source day and its number of rows."""
        return {
            row["batch_id"]: (row["day"], row["rows"])
            for row in self._published_members()
            if row["table_name"] == table.name
        }

    def _stored_batches(self, table: contracts.Table) -> dict[str, tuple[date, int]]:
        """Maps the id of each batch in a table to its source day and its number of rows.

        If the published batches together have as many rows as the table, returns these batches. The numbers
        differ if a publication loaded batches and then failed, or if someone changed the table. In this case,
        a query lists the batches in the whole table.
        """
        published = self._published_batches(table)
        row_count = self.tables.row_count(table)
        if row_count in (0, sum(rows for _, rows in published.values())):
            return published if row_count else {}
        sql = (
            f"SELECT batch_id, {table.day_column} AS day, COUNT(*) AS row_count "
            f"FROM {self.addresses[table.name]} GROUP BY batch_id, day"
        )
        listing = self.jobs.query(Statement(f"listing {table.name}", sql))
        return {row["batch_id"]: (row["day"], row["row_count"]) for row in self.jobs.rows(listing)}

    def create_views(self) -> None:
        """Creates the views of `sql/views` and the table functions of `sql/functions`.

        Replaces existing views and functions whose SQL has changed.
        """
        views.create_views(self.jobs, self.addresses)

    def create_vector_index(self) -> None:
        """Creates the vector index of the table `embeddings_v1`, for the function VECTOR_SEARCH. BigQuery
        keeps the index up to date.

        Does nothing if the index exists, or if the table has fewer than VECTOR_INDEX_ROWS rows.
        """
        table, column = contracts.EMBEDDINGS.name, contracts.EMBEDDINGS.schema.names[-1]
        row_count = self.tables.row_count(contracts.EMBEDDINGS)
        if row_count < VECTOR_INDEX_ROWS:
            say(
                f"    no vector index was created, because {table} has only {row_count:,} rows and BigQuery "
                f"needs at least {VECTOR_INDEX_ROWS:,}"
            )
            return
        sql = (
            f"CREATE VECTOR INDEX IF NOT EXISTS {table}_{column} ON {self.addresses[table]}({column}) "
            "OPTIONS (index_type = 'IVF', distance_type = 'COSINE')"
        )
        self.jobs.run_ddl("creating the vector index", sql)

    def _ensure_ledger(self) -> None:
        """Creates the table `spend_v1` if it does not exist. The costs of every query are recorded in it."""
        self.tables.ensure(contracts.SPEND)

    def _statements(self, query: Query, day: date) -> list[Statement]:
        """Returns the two SQL statements that extract a day.

        The first counts the day's events per hour. The second reads the day's issues, malformed
        events and comments that may mark duplicates.
        """
        bounds = {"first_suffix": table_suffix(day), "last_suffix": table_suffix(day)}
        hours = Query.from_file("source_hours")
        issues = day_query(query)
        return [
            Statement(f"counting the events of {day}", hours.sql, bounds),
            Statement(f"reading the issues of {day}", issues, query.binding(parameters_of(issues), **bounds)),
        ]

    def _split(self, query: FinishedQuery, table: str) -> _DayParts:
        """Splits the result of a day's query into issues, malformed events and comments."""
        with translated_errors(self.settings, "counting a result"):
            result = self.jobs.client.get_table(query.job.destination, timeout=REQUEST_TIMEOUT)
        stream = read_record_batches(self.jobs.client, connect_storage(self.settings), query.job)
        progress = track(stream, f"issues of {table[-6:]}", result.num_rows or 0, len)
        record_batches = (record_batch.select(["part", *EXTRACTED]) for record_batch in progress)
        other_rows: list[dict[str, Any]] = []
        first_issues: list[pa.RecordBatch] = []
        for record_batch in record_batches:  # issues come last
            parts = record_batch.column("part")
            first_issue = pc.sum(pc.less(parts, ISSUES_PART)).as_py() or 0
            other_rows += record_batch.slice(0, first_issue).to_pylist()
            if first_issue < len(record_batch):
                first_issues.append(record_batch.slice(first_issue))
                break
        malformed_rows = [row for row in other_rows if row["part"] == MALFORMED_PART]
        comments = [row for row in other_rows if row["part"] == COMMENTS_PART]
        return _DayParts(
            self._issues(first_issues, record_batches),
            malformed_table(malformed_rows, table),
            int(malformed_rows[0]["malformed_count"]) if malformed_rows else 0,
            pa.Table.from_pylist(
                [{name: row[name] for name in COMMENT_SCHEMA.names} for row in comments], COMMENT_SCHEMA
            ),
        )

    def _issues(
        self, first: list[pa.RecordBatch], following: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        with translated_errors(self.settings, "reading issues"):
            for record_batches in (first, following):
                for record_batch in record_batches:
                    rows = pa.Table.from_batches([record_batch]).select(
                        contracts.EXTRACTED_ISSUES.schema.names
                    )
                    yield from contracts.EXTRACTED_ISSUES.conform(rows).to_batches()
