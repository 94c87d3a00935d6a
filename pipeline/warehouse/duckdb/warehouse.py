"""The DuckDB implementation of `Warehouse`. It extracts issues from hour files with an in-memory database. It
publishes a release as a DuckDB file, whose views read the lake's Parquet files.

A reader of the DuckDB file needs no software but DuckDB. So if the lake is a bucket, the batches' files are
copied into a folder beside the DuckDB file (`warehouse.duckdb.files`).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from filelock import FileLock, Timeout

from pipeline import contracts
from pipeline.errors import TitlerError, UsageError
from pipeline.lake.files import read_checked
from pipeline.warehouse.duckdb.connection import (
    open_in_memory,
    open_warehouse_file,
    out_of_space,
    run_query,
)
from pipeline.warehouse.duckdb.differences_from_bigquery import scan_condition, translate
from pipeline.warehouse.duckdb.event_slices import Statement, merge_slices, run_in_slices
from pipeline.warehouse.duckdb.hour_reader import HourReader
from pipeline.warehouse.duckdb.release_file import StagedFile, copies_folder, local_path, temporary_path
from pipeline.warehouse.protocol import (
    COMMENT_SCHEMA,
    MALFORMED_PER_FILE,
    MALFORMED_SCHEMA,
    MALFORMED_TEXT_LENGTH,
    Batch,
    Extraction,
    Purpose,
    ReleaseTables,
    SourceFile,
    timeline_error,
)
from pipeline.warehouse.query import Query, table_suffix

ROWS_PER_RECORD_BATCH = 10_000
LOCK_TIMEOUT = 300  # seconds to wait for another process that publishes
LOCK_POLL_INTERVAL = 0.1  # seconds
ABANDONED_AFTER = 2 * 24 * 3600  # seconds; unneeded files that are older are deleted

# The join finds the file and the line of each malformed event. If a file has the same line twice, both lines
# are listed. Equal events are joined as one: otherwise n equal lines would give n * n rows.
_MALFORMED_EVENTS = f"""
WITH malformed AS (
  SELECT DISTINCT e.file, e.line, m.reason, LEFT(CAST(m.text AS VARCHAR), {MALFORMED_TEXT_LENGTH}) AS text
  FROM (SELECT DISTINCT event_id, reason, text FROM ({{sql}})) AS m
  JOIN events AS e ON e.id = m.event_id AND CAST(e.payload AS VARCHAR) = CAST(m.text AS VARCHAR)
)
SELECT file, line, reason, text, COUNT(*) OVER () AS total
FROM malformed
QUALIFY ROW_NUMBER() OVER (PARTITION BY file ORDER BY line, reason) <= {MALFORMED_PER_FILE}
ORDER BY file, line
"""

_MALFORMED_OF_SLICES = f"""
SELECT file, line, reason
FROM malformed
QUALIFY ROW_NUMBER() OVER (PARTITION BY file ORDER BY line, reason) <= {MALFORMED_PER_FILE}
ORDER BY file, line
"""

# In events from before 2015, an issue is a number.
_OPENED_ISSUES = """
SELECT COUNT(*), COUNT(*) FILTER (JSON_TYPE(TRY_CAST(payload AS JSON), '$.issue') = 'UBIGINT')
FROM events
WHERE type = 'IssuesEvent'
"""

# Many small days have no comment about duplicates. Planning the query for them would take a tenth of the
# day's processor time.
_ANY_COMMENT = "SELECT 1 FROM events WHERE type = 'IssueCommentEvent' LIMIT 1"


class DuckDBWarehouse:
    """The warehouse in the DuckDB file `path`. The first publication of a release creates the file.
    `memory_gib` is the setting `warehouse.memory_gib`."""

    def __init__(self, path: str, memory_gib: float = 0) -> None:
        self.path = Path(path)
        self._memory_gib = memory_gib
        self._memory: duckdb.DuckDBPyConnection | None = None

    def source_day(self, day: date) -> None:
        """Returns None, because this warehouse reads hour files instead of a table."""

    def estimate(self, query: Query, day: date) -> int:
        """Returns 0, because reading hour files costs nothing."""
        return 0

    def extract(
        self, query: Query, day: date, files: Sequence[Path | SourceFile], attempt: str = ""
    ) -> Extraction:
        if self._memory is None:
            self._memory = open_in_memory(self._memory_gib)
        try:
            return _extract(self._memory, query, day, [SourceFile.of(file) for file in files])
        except duckdb.OutOfMemoryException as error:
            self._memory = None  # it still has the tables of this day
            raise out_of_space(f"the events of {day}", error) from None

    def load(self, table: contracts.Table, batches: Sequence[Batch]) -> None:
        """Copies the Parquet files of batches from a bucket into the folder beside the DuckDB file.

        Files that are copied already are skipped, because a batch never changes. Files of a local lake are
        not copied.
        """
        for batch in batches:
            for file in batch.files:
                copy = local_path(self.path, table.name, batch, file)
                if "://" not in file.removeprefix("file://") or copy.is_file():
                    continue
                copy.parent.mkdir(parents=True, exist_ok=True)
                temporary = temporary_path(copy)
                try:
                    temporary.write_bytes(read_checked(file, batch.digest_of(file)))
                    os.replace(temporary, copy)
                finally:
                    temporary.unlink(missing_ok=True)

    def stage(self, tables: ReleaseTables, batches: Mapping[str, Sequence[Batch]]) -> StagedFile:
        return StagedFile(self.path, tables, batches, tables.checks(self.records(contracts.RELEASE_MEMBERS)))

    @contextmanager
    def exclusive_lock(self, purpose: Purpose) -> Iterator[None]:
        suffix = "lock" if purpose == "publish" else f"{purpose}.lock"
        lock = self.path.with_name(f"{self.path.name}.{suffix}")
        lock.parent.mkdir(parents=True, exist_ok=True)
        file_lock = FileLock(lock, timeout=LOCK_TIMEOUT, poll_interval=LOCK_POLL_INTERVAL)
        try:
            file_lock.acquire()
        except Timeout:
            raise TitlerError(
                f"The lock to {purpose} a release did not become free within {LOCK_TIMEOUT} seconds: "
                f"another process holds the lock {lock}.",
                f"Find the process (fuser {lock}), stop it if it hangs, then run the same command again.",
            ) from None
        try:
            yield
        finally:
            file_lock.release()

    def current_release(self) -> str | None:
        if not self.path.is_file():
            return None
        return next(
            str(row["release_id"]) for row in self.records(contracts.RELEASES) if row["status"] == "current"
        )

    def records(self, table: contracts.Table) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        return list(self.query(Query(table.name, f"SELECT * FROM {table.name}")).to_pylist())

    def query(self, query: Query) -> pa.Table:
        if not self.path.is_file():
            raise UsageError(
                f"No release has been published in {self.path} yet.",
                "Publish a release: titler run --from DAY --to DAY",
            )
        with open_warehouse_file(self.path) as connection:
            return run_query(connection, query)

    def delete_batches_except(
        self, retained_batches: Mapping[str, Collection[str]], *, at_once: bool = False
    ) -> int:
        """Deletes copied Parquet files that are no longer needed. Returns 0, because no rows are deleted.

        A file is needed if its batch is in `retained_batches`, which maps table names to batch ids. Other
        files are deleted when they are ABANDONED_AFTER seconds old, because a reader who opened an older
        warehouse file may still read them. If `at_once` is true, these files are deleted at once.

        Earlier versions of Titler copied a batch to a path without the day (see `copies_folder`). Such a copy
        is not needed if the batch also has a copy at a path with the day.

        Temporary files of killed publications are also deleted when they are ABANDONED_AFTER seconds old.
        """
        for temporary in self.path.parent.glob(f"{self.path.name}.*.tmp"):
            if _is_abandoned(temporary):
                temporary.unlink(missing_ok=True)
        copies = copies_folder(self.path)
        # Earlier versions wrote TABLE/BATCH. The current file may still read these copies.
        without_day = [folder for folder in copies.glob("*/*") if not folder.name.startswith("day=")]
        for batch in [*copies.glob("*/day=*/*"), *without_day]:
            table = batch.relative_to(copies).parts[0]
            is_read = batch.name in retained_batches.get(table, ())
            if batch.parent.name == table:
                is_read = is_read and not any(batch.parent.glob(f"day=*/{batch.name}"))
            if not is_read and (at_once or _is_abandoned(batch)):
                shutil.rmtree(batch)
        return 0

    def recovery_period(self) -> timedelta:
        return timedelta(0)


def _extract(
    connection: duckdb.DuckDBPyConnection, query: Query, day: date, files: Sequence[SourceFile]
) -> Extraction:
    """Extracts a day with an in-memory database. See `Warehouse.extract`."""
    bounds = {"first_suffix": table_suffix(day), "last_suffix": table_suffix(day)}
    malformed_query = Query.from_file("extract_malformed")
    comments_query = Query.from_file("extract_duplicate_marks")
    conditions = [scan_condition(each.sql) for each in (query, malformed_query, comments_query)]
    condition = " OR ".join(sorted({f"({condition.sql})" for condition in conditions}))
    names = frozenset().union(*(condition.parameters for condition in conditions))
    reader = HourReader(connection, condition, query.binding(names, **bounds), table_suffix(day))
    reader.read(files)
    queries = {"issues": query, "malformed": malformed_query}
    if connection.execute(_ANY_COMMENT).fetchall():
        queries["comments"] = comments_query
    statements = {name: _statement(each, bounds) for name, each in queries.items()}
    malformed_sql = _MALFORMED_EVENTS.format(sql=statements["malformed"].sql)
    statements["malformed"] = statements["malformed"]._replace(sql=malformed_sql)
    results = run_in_slices(connection, statements)
    issues = merge_slices(connection, query.sql, results["issues"])
    comments = COMMENT_SCHEMA.empty_table()
    if "comments" in results:
        comments = merge_slices(connection, comments_query.sql, results["comments"])
    malformed_events = merge_slices(connection, _MALFORMED_OF_SLICES, results["malformed"])
    labels = reader.labels() if len({file.base for file in files}) > 1 else {}
    opened, timeline = connection.execute(_OPENED_ISSUES).fetchall()[0]
    connection.execute("DROP TABLE events")
    if 2 * timeline > opened:
        raise timeline_error(f"Most opened issues of {day}")
    total = sum(each.column("total")[0].as_py() for each in results["malformed"] if len(each))
    omitted = reader.omitted_malformed + total - len(malformed_events)
    malformed_events = malformed_events.select(MALFORMED_SCHEMA.names).cast(MALFORMED_SCHEMA)
    malformed = pa.concat_tables([reader.malformed(), malformed_events])
    whole_files = [file.label for file in files if file.hours is None]
    crawled = sum(sum(hours.values()) for hours in reader.crawled_per_hour.values())
    return Extraction(
        contracts.EXTRACTED_ISSUES.conform(issues).to_reader(ROWS_PER_RECORD_BATCH),
        sum(reader.events_per_file[label] for label in whole_files) + crawled,
        malformed.sort_by([("file", "ascending"), ("line", "ascending")]),
        omitted,
        malformed_issues=reader.malformed_issues + total,
        events_per_file=dict(reader.events_per_file),
        crawled_per_hour=reader.crawled_per_hour,
        labels=labels,
        comments=comments.select(COMMENT_SCHEMA.names).cast(COMMENT_SCHEMA),
    )


def _statement(query: Query, bounds: Mapping[str, str]) -> Statement:
    """Returns an extraction query in DuckDB's dialect."""
    translation = translate(query.sql)
    return Statement(translation.sql, query.binding(translation.parameters, **bounds))


def _is_abandoned(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > ABANDONED_AFTER
