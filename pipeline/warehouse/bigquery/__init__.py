"""BigQuery as a `Warehouse`: issues come from GH Archive's data set, batches and releases lie in one of ours.

Rows of all batches lie side by side, each with its `batch_id`; `release_members_v1` says which of them a release has, `releases_v1` which
release is current. So nothing that readers see is touched before one transaction changes these two small tables.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
from google.api_core import exceptions

from pipeline import contracts
from pipeline.errors import TitlerError, UsageError, WarehouseError
from pipeline.progress import say, track
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse import Batch, Extraction, Failure, Query, SourceTable, current_of, suffix
from pipeline.warehouse.bigquery import client as google
from pipeline.warehouse.bigquery import lease, rows
from pipeline.warehouse.bigquery.jobs import MINIMUM, Jobs, Paid, Statement, cost_of, fingerprint
from pipeline.warehouse.bigquery.source import EXTRACTED, SOURCE, day_query, malformed_of
from pipeline.warehouse.bigquery.tables import DAYS_A_JOB, Tables, quoted
from pipeline.warehouse.dialect import parameters_of, renamed, table_function

FAILURES_KEPT = 100
INDEX_ROWS = 5000  # fewer are searched as quickly without
SMALL = (contracts.RELEASES, contracts.RELEASE_MEMBERS)


class BigQueryWarehouse:
    """One data set of one project. `verb` is who asks; `run` names one command for what it spends in several processes."""

    def __init__(self, settings: Settings, verb: str, run: str = "", release_id: str | None = None) -> None:
        self.settings = settings
        self.jobs = Jobs(settings, verb, run, release_id)
        self.tables = Tables(self.jobs)

    @cached_property
    def names(self) -> dict[str, str]:
        """The addresses of all tables, views and functions."""
        defined = [query.stem for folder in ("views", "functions") for query in Query.folder(folder)]
        return {name: f"`{self.tables.address(name)}`" for name in (*contracts.TABLES, *defined)}

    def source_day(self, day: date) -> SourceTable:
        name = f"{SOURCE}{suffix(day)}"
        with google.told(self.settings, f"looking at {name}"):
            try:
                table = self.jobs.client.get_table(name, timeout=google.REQUEST)
                return SourceTable(name, int(table.num_rows or 0), table.modified)
            except exceptions.NotFound:
                return SourceTable(name, None)

    def estimate(self, query: Query, day: date) -> int:
        if self.source_day(day).rows is None:
            return 0
        return sum(self.jobs.estimate(statement) for statement in self._statements(query, day))

    def extract(self, query: Query, day: date, files: Sequence[Path] = (), attempt: str = "") -> Extraction:
        table = self.source_day(day)
        if table.rows is None:
            return Extraction(contracts.ISSUES.empty().to_reader(), 0, malformed_of([], table.name))
        self._ready()
        asked = []
        for statement in self._statements(query, day):
            key = fingerprint(
                self.jobs.dataset,
                table.name,
                table.rows,
                statement.sql,
                sorted(statement.parameters.items()),
                attempt,
            )
            asked.append(self.jobs.query_once(f"{day:%Y%m%d}_{key}", statement, day))
        counted, paid = asked
        found_hours = self.jobs.rows(counted)
        hours = tuple(sorted(row["hour"] for row in found_hours if row["hour"] is not None))
        events = sum(row["events"] for row in found_hours)
        with google.told(self.settings, f"reading the issues of {day}"):
            first, malformed, found = self._split(paid, table.name)
            issues = pa.RecordBatchReader.from_batches(contracts.ISSUES.schema, first)
        return Extraction(
            issues, events, malformed, found - len(malformed), hours, cost_of(asked, self.settings)
        )

    def load(self, table: contracts.Table, batches: Sequence[Batch]) -> None:
        self._ready()
        self.tables.load(table, batches)

    def stage(
        self, releases: pa.Table, members: pa.Table, batches: Mapping[str, Sequence[Batch]]
    ) -> StagedTables:
        release, releases, members = current_of(releases, members)
        known = {name for name, table in contracts.TABLES.items() if "warehouse" in table.lives_in}
        if surplus := sorted(set(batches) - known):
            raise UsageError(
                f"{surplus[0]} does not live in the warehouse, which has: {', '.join(sorted(known))}."
            )
        self._ready()
        for name in sorted(known):
            self.tables.ensure(contracts.TABLES[name])
        return StagedTables(self, release, releases, members)

    def alone(self) -> AbstractContextManager[None]:
        return lease.held(self.jobs)

    def current_release(self) -> str | None:
        return next(
            (
                str(row["release_id"])
                for row in self.records(contracts.RELEASES)
                if row["status"] == "current"
            ),
            None,
        )

    def records(self, table: contracts.Table) -> list[dict[str, Any]]:
        return self.tables.all_rows(table.name) or []

    def query(self, query: Query) -> pa.Table:
        return self.answer(query)

    def answer(self, query: Query, names: Mapping[str, str] | None = None) -> pa.Table:
        """The rows of a query; `names` as in `renamed`. Raises UsageError for one that does not run."""
        parameters = query.binding(parameters_of(query.sql))
        self._ready()
        if self.current_release() is None and names is None:
            raise UsageError(
                f"{self.jobs.dataset}: no release has been published yet.",
                "Publish one: titler run --from D --to D",
            )
        try:
            paid = self.jobs.query(
                Statement(f"the query {query.name}", renamed(query.sql, names or self.names), parameters)
            )
        except google.RejectedError as error:
            views = ", ".join(view.stem for view in Query.folder("views"))
            raise UsageError(
                f"{query.name} does not run: {error.message}", f"The views are: {views}"
            ) from None
        with google.told(self.settings, f"reading what {query.name} gave"):
            return paid.job.to_arrow(create_bqstorage_client=False, timeout=self.settings.timeout)

    def collect(self, kept_batches: Mapping[str, Collection[str]]) -> int:
        gone = 0
        self._ready()
        for table in contracts.TABLES.values():
            if "warehouse" not in table.lives_in or not table.partition or not self._is_there(table):
                continue
            held = self._batches(table)
            stale = sorted(set(held) - set(kept_batches.get(table.name, ())))
            for start in range(0, len(stale), DAYS_A_JOB):
                some = stale[start : start + DAYS_A_JOB]
                sql = f"DELETE FROM {self.names[table.name]} WHERE batch_id IN UNNEST(@gone)"
                self.jobs.query(
                    Statement(f"removing {len(some)} batches from {table.name}", sql, {"gone": some})
                )
                gone += sum(held[batch] for batch in some)
        return gone

    def show(self) -> None:
        """Makes the views of `sql/views` and the table functions of `sql/functions`, as their SQL is now.

        What is there in the same words stays: BigQuery may forget that a view may read the tables for whoever asks once it is replaced.
        """
        parts = []
        for view in Query.folder("views"):
            text = renamed(view.sql, self.names)
            if self._view(view.stem) != (text.strip(), view.prose):
                described = f"OPTIONS (description = {quoted(view.prose)})"
                parts.append(f"CREATE OR REPLACE VIEW {self.names[view.stem]} {described} AS\n{text}")
        for function in Query.folder("functions"):
            body = table_function(function.sql)
            text = renamed(body.bigquery, self.names)
            if self._function(function.stem) != (text.strip(), body.arguments):
                arguments = ", ".join(f"{name} STRING" for name in body.arguments)
                parts.append(
                    f"CREATE OR REPLACE TABLE FUNCTION {self.names[function.stem]}({arguments}) AS\n{text}"
                )
        if parts:
            self.jobs.define("making the views", ";\n".join(parts))

    def index_vectors(self) -> None:
        """Makes the vector index of `embeddings_v1`, which VECTOR_SEARCH uses and BigQuery keeps; not below INDEX_ROWS rows."""
        table, column = contracts.EMBEDDINGS.name, contracts.EMBEDDINGS.schema.names[-1]
        with google.told(self.settings, f"looking at {table}"):
            held = (
                self.jobs.client.get_table(self.tables.address(table), timeout=google.REQUEST).num_rows or 0
            )
        if held < INDEX_ROWS:
            say(f"    no vector index yet: {table} has {held:,} rows, BigQuery wants {INDEX_ROWS:,}")
            return
        sql = (
            f"CREATE VECTOR INDEX IF NOT EXISTS {table}_{column} ON {self.names[table]}({column}) "
            "OPTIONS (index_type = 'IVF', distance_type = 'COSINE')"
        )
        self.jobs.define("making the vector index", sql)

    def _ready(self) -> None:
        """The ledger is there: nothing is spent without it."""
        self.tables.ensure(contracts.SPEND)

    def _statements(self, query: Query, day: date) -> list[Statement]:
        bounds = {"first_suffix": suffix(day), "last_suffix": suffix(day)}
        hours = Query.from_file("source_hours")
        issues = day_query(query)
        return [
            Statement(f"counting the events of {day}", hours.sql, bounds),
            Statement(f"reading the issues of {day}", issues, query.binding(parameters_of(issues), **bounds)),
        ]

    def _split(self, paid: Paid, table: str) -> tuple[Iterator[pa.RecordBatch], pa.Table, int]:
        """What a day's query gave: its issues, in batches; its first malformed events; how many of these there are."""
        with google.told(self.settings, "counting a result"):
            total = self.jobs.client.get_table(paid.job.destination, timeout=google.REQUEST).num_rows or 0
        stream = rows.batches(self.jobs.client, google.connect_storage(self.settings), paid.job)
        batches = (batch.select(EXTRACTED) for batch in track(stream, f"issues of {table[-6:]}", total, len))
        broken: list[dict[str, object]] = []
        first: list[pa.RecordBatch] = []
        for batch in batches:  # malformed events come first
            bad = len(batch) - batch.column("reason").null_count
            broken += batch.slice(0, bad).to_pylist()
            if bad < len(batch):
                first.append(batch.slice(bad))
                break
        found = int(str(broken[0]["found"])) if broken else 0
        return self._issues(first, batches), malformed_of(broken, table), found

    def _issues(
        self, first: list[pa.RecordBatch], others: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        with google.told(self.settings, "reading issues"):
            for part in (first, others):
                for batch in part:
                    yield from contracts.ISSUES.conform(
                        pa.Table.from_batches([batch]).select(contracts.ISSUES.schema.names)
                    ).to_batches()

    def _is_there(self, table: contracts.Table) -> bool:
        with google.told(self.settings, f"looking at {table.name}"):
            try:
                self.jobs.client.get_table(self.tables.address(table.name), timeout=google.REQUEST)
            except exceptions.NotFound:
                return False
        return True

    def _view(self, name: str) -> tuple[str, str] | None:
        """A view's SQL and prose as BigQuery has them; None where there is none."""
        with google.told(self.settings, f"looking at {name}"):
            try:
                found = self.jobs.client.get_table(self.tables.address(name), timeout=google.REQUEST)
            except exceptions.NotFound:
                return None
        return (found.view_query or "").strip(), found.description or ""

    def _function(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        """A table function's SQL and the names of its arguments as BigQuery has them; None where there is none."""
        with google.told(self.settings, f"looking at {name}"):
            try:
                found = self.jobs.client.get_routine(self.tables.address(name), timeout=google.REQUEST)
            except exceptions.NotFound:
                return None
        return (found.body or "").strip(), tuple(argument.name for argument in found.arguments)

    def _batches(self, table: contracts.Table) -> dict[str, int]:
        """Rows of every batch that a table holds."""
        sql = f"SELECT batch_id, COUNT(*) AS found FROM {self.names[table.name]} GROUP BY batch_id"
        return {
            row["batch_id"]: row["found"]
            for row in self.jobs.rows(self.jobs.query(Statement(f"listing {table.name}", sql)))
        }


class StagedTables:
    """A release set up in two tables that stand for `releases_v1` and `release_members_v1` until it is current.

    Both are filled anew by each publication. Whoever publishes is alone; should that fail, rows of another `stage_id` change nothing.
    """

    def __init__(self, house: BigQueryWarehouse, release: str, releases: pa.Table, members: pa.Table) -> None:
        self.house = house
        self.release = release
        self.stage_id = secrets.token_hex(8)
        self._current = False
        for table, given in zip(SMALL, (releases, members), strict=True):
            house.tables.fill(f"staged_{table.name}", table, given, self.stage_id)

    def __enter__(self) -> StagedTables:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing: no reader sees the staged tables, and the next publication fills them anew."""

    @cached_property
    def _names(self) -> dict[str, str]:
        """What the tables and views are for this release, as it will be seen once it is current."""
        names = {**self.house.names, **{table.name: self._staged(table) for table in SMALL}}
        return {**names, **{view.stem: f"({renamed(view.sql, names)})" for view in Query.folder("views")}}

    def check(self) -> list[Failure]:
        """All checks are counted in one query, since each query has 10 MB billed a table; only those that fail are asked for rows."""
        checks = {check.stem: check for check in Query.folder("checks", release=self.release)}
        texts = {name: renamed(check.sql, self._names) for name, check in checks.items()}
        counts = "\nUNION ALL\n".join(
            f"SELECT '{name}' AS name, COUNT(*) AS found FROM (\n{text}\n)" for name, text in texts.items()
        )
        jobs, values = self.house.jobs, {"release": self.release}
        failures = []
        for row in jobs.rows(jobs.query(Statement(f"checks of release {self.release}", counts, values))):
            if row["found"]:
                check = checks[row["name"]]
                paid = jobs.query(
                    Statement(
                        f"rows that fail {check.stem}", f"{texts[check.stem]}\nLIMIT {FAILURES_KEPT}", values
                    )
                )
                with google.told(self.house.settings, f"reading what {check.name} found"):
                    listed = paid.job.to_arrow(create_bqstorage_client=False)
                failures.append(Failure(check.stem, check.prose, row["found"], listed))
        return sorted(failures, key=lambda failure: failure.check)

    def query(self, query: Query) -> pa.Table:
        return self.house.answer(query, None if self._current else self._names)

    def make_current(self) -> None:
        if self._current:
            return
        self.house.show()
        changes = []
        for table in SMALL:
            names = ", ".join(f"`{name}`" for name in table.in_warehouse.names)
            address, mine = (
                f"`{self.house.tables.address(table.name)}`",
                f"FROM {self._staged(table)} WHERE stage_id = @stage",
            )
            changes.append(f"DELETE FROM {address} WHERE EXISTS (SELECT 1 {mine});")
            changes.append(f"INSERT INTO {address} ({names}) SELECT {names} {mine};")
        script = "\n".join(["BEGIN TRANSACTION;", *changes, "COMMIT TRANSACTION;"])
        doing, at_least = f"making release {self.release} current", MINIMUM * 3 * len(SMALL)
        self.house.jobs.query(Statement(doing, script, {"stage": self.stage_id}, at_least))
        if self.house.current_release() != self.release:
            raise WarehouseError(
                f"Release {self.release} did not become current in {self.house.jobs.dataset}: another process has published meanwhile.",
                f"See what is current: titler status; then: titler publish --release {self.release}",
            )
        self._current = True
        if self.house.settings.embeddings and self.house.settings.vector_index:
            try:
                self.house.index_vectors()
            except TitlerError as error:  # the release is current without
                say(f"    no vector index: {error.message}")

    def _staged(self, table: contracts.Table) -> str:
        return f"`{self.house.tables.address(f'staged_{table.name}')}`"
