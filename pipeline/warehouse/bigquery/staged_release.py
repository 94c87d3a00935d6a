"""Prepares a release in BigQuery, checks it, and makes it the current release in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Protocol

import pyarrow as pa

from pipeline import contracts
from pipeline.errors import TitlerError, WarehouseError
from pipeline.progress import say
from pipeline.settings import Warehouse as Settings
from pipeline.warehouse.bigquery.errors import translated_errors
from pipeline.warehouse.bigquery.jobs import MINIMUM_BILLED, Jobs, Statement
from pipeline.warehouse.bigquery.tables import Tables
from pipeline.warehouse.protocol import FAILURE_ROWS, Failure, ReleaseTables
from pipeline.warehouse.query import Query
from pipeline.warehouse.sql_parser import replace_tables

RELEASE_TABLES = (contracts.RELEASES, contracts.RELEASE_MEMBERS)


class PublishingWarehouse(Protocol):
    """The attributes and methods of `BigQueryWarehouse` that publishing a release needs."""

    settings: Settings
    jobs: Jobs
    tables: Tables

    @property
    def addresses(self) -> Mapping[str, str]: ...
    def run_query(self, query: Query, replacements: Mapping[str, str] | None = None) -> pa.Table: ...
    def create_views(self) -> None: ...
    def create_vector_index(self) -> None: ...
    def current_release(self) -> str | None: ...
    def records(self, table: contracts.Table) -> list[dict[str, Any]]: ...
    def forget_published(self) -> None: ...


class StagedTables:
    """A release that is prepared in two staging tables, before readers see it.

    Until the release is current, `check` and `query` read the staging tables instead of `releases_v1` and
    `release_members_v1`. There is no staging table for `superseded_openings_v1` (duplicate openings): this
    table is changed at once. Readers do not notice, because it keeps the rows of all releases that they see.

    Each publication overwrites both staging tables, so the caller must hold the publish lock. If the lock is
    lost, another publication may write its rows into the staging tables. `make_current` ignores these rows,
    because their `stage_id` (id of the publication) differs.
    """

    def __init__(
        self, warehouse: PublishingWarehouse, tables: ReleaseTables, checks: Sequence[Query]
    ) -> None:
        self.warehouse = warehouse
        self.release = tables.current
        self.checks = checks
        self.stage_id = secrets.token_hex(8)
        self._current = False
        superseded = pa.concat_tables([tables.superseded, self._superseded_of_others(tables)])
        warehouse.tables.replace_rows(contracts.SUPERSEDED_OPENINGS, superseded, self.stage_id)
        for table, rows in zip(RELEASE_TABLES, (tables.releases, tables.members), strict=True):
            warehouse.tables.overwrite(f"staged_{table.name}", table, rows, self.stage_id)

    def __enter__(self) -> StagedTables:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Does nothing: no reader sees the staging tables, and the next publication overwrites them."""

    def _superseded_of_others(self, tables: ReleaseTables) -> pa.Table:
        """Returns the rows of `superseded_openings_v1` for the published releases that `tables` lacks.

        `tables` lacks a release if the release's files in the lake cannot be read. Readers see such a release
        until `make_current`, so this publication keeps its rows. The next publication deletes them.
        """
        published = {row["release_id"] for row in self.warehouse.records(contracts.RELEASES)}
        unlisted_releases = published - set(tables.releases.column("release_id").to_pylist())
        stored = self.warehouse.records(contracts.SUPERSEDED_OPENINGS) if unlisted_releases else []
        rows = [row for row in stored if row["release_id"] in unlisted_releases]
        return pa.Table.from_pylist(rows, contracts.SUPERSEDED_OPENINGS.schema)

    @cached_property
    def _replacements(self) -> dict[str, str]:
        """Maps the names of tables and views to the text that replaces them in a query.

        With these replacements, the query reads the staging tables, as if this release were current. A view
        becomes a subquery. BigQuery refuses WITH RECURSIVE in a subquery. The view `duplicate_clusters`
        contains WITH RECURSIVE, so no check may read this view.
        """
        addresses = {
            **self.warehouse.addresses,
            **{table.name: self._staging_address(table) for table in RELEASE_TABLES},
        }
        views = {view.stem: f"({replace_tables(view.sql, addresses)})" for view in Query.folder("views")}
        return {**addresses, **views}

    def check(self) -> list[Failure]:
        """Runs the checks: the queries of `sql/checks`, which look for wrong rows in the release. Returns the
        failed checks, sorted by name.

        First, one query counts the wrong rows of all checks together, because BigQuery bills at least 10 MiB
        per table and query. Then one more query per failed check reads its wrong rows.
        """
        checks = {check.stem: check for check in self.checks}
        texts = {name: replace_tables(check.sql, self._replacements) for name, check in checks.items()}
        counts = "\nUNION ALL\n".join(
            f"SELECT '{name}' AS name, COUNT(*) AS failing_rows FROM (\n{text}\n)"
            for name, text in texts.items()
        )
        jobs, parameters = self.warehouse.jobs, self.checks[0].parameters
        counted = jobs.query(Statement(f"checking release {self.release}", counts, parameters))
        failures = []
        for row in jobs.rows(counted):
            if row["failing_rows"]:
                check = checks[row["name"]]
                sql = f"{texts[check.stem]}\nLIMIT {FAILURE_ROWS}"
                query = jobs.query(Statement(f"reading the rows that fail {check.stem}", sql, parameters))
                with translated_errors(self.warehouse.settings, f"reading the rows of {check.name}"):
                    rows = query.job.to_arrow(create_bqstorage_client=False)
                failures.append(Failure(check.stem, check.prose, row["failing_rows"], rows))
        return sorted(failures, key=lambda failure: failure.check)

    def query(self, query: Query) -> pa.Table:
        return self.warehouse.run_query(query, None if self._current else self._replacements)

    def make_current(self) -> None:
        """Makes the release current. One transaction replaces all rows of `releases_v1` and
        `release_members_v1` with those of the staging tables.

        The views are updated before the transaction. If the settings require a vector index, it is created
        afterwards. Raises WarehouseError if another process published at the same time.
        """
        if self._current:
            return
        self.warehouse.create_views()
        changes = []
        for table in RELEASE_TABLES:
            columns = ", ".join(f"`{name}`" for name in table.warehouse_schema.names)
            address = f"`{self.warehouse.tables.address(table.name)}`"
            staged_rows = f"FROM {self._staging_address(table)} WHERE stage_id = @stage"
            changes.append(f"DELETE FROM {address} WHERE EXISTS (SELECT 1 {staged_rows});")
            changes.append(f"INSERT INTO {address} ({columns}) SELECT {columns} {staged_rows};")
        script = "\n".join(["BEGIN TRANSACTION;", *changes, "COMMIT TRANSACTION;"])
        action, at_least = f"making release {self.release} current", MINIMUM_BILLED * 3 * len(RELEASE_TABLES)
        self.warehouse.jobs.query(Statement(action, script, {"stage": self.stage_id}, at_least))
        self.warehouse.forget_published()
        if self.warehouse.current_release() != self.release:
            raise WarehouseError(
                f"Release {self.release} did not become current in {self.warehouse.jobs.dataset}: "
                "another process published at the same time.",
                "To see which release is current: titler status\n"
                f"To publish this release again: titler publish --release {self.release}",
            )
        self._current = True
        if self.warehouse.settings.embeddings and self.warehouse.settings.vector_index:
            try:
                self.warehouse.create_vector_index()
            except TitlerError as error:  # the release is current even without the index
                say(f"    the vector index was not created: {error.message}")

    def _staging_address(self, table: contracts.Table) -> str:
        return f"`{self.warehouse.tables.address(f'staged_{table.name}')}`"
