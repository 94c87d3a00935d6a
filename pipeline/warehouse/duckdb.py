"""The embedded warehouse: extraction in memory, and a file of views over the current release's Parquet files.

DuckDB allows one writer and many tasks run at a time, so the file is never written to: a release is a new one, renamed onto the old.
Whoever opens it needs DuckDB alone: where the lake is a bucket, the files are copied beside it (`warehouse.duckdb.files`).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from pipeline import contracts
from pipeline.errors import TitlerError, UsageError
from pipeline.lake import stores
from pipeline.warehouse import (
    MALFORMED,
    MALFORMED_KEPT,
    TEXT_KEPT,
    Batch,
    Extraction,
    Failure,
    Query,
    current_of,
    suffix,
)
from pipeline.warehouse.dialect import scan_condition, table_function, translate
from pipeline.warehouse.hours import HourReader
from pipeline.warehouse.types import in_duckdb

FAILURES_KEPT = 100
ROWS_A_BATCH = 10_000
PATIENCE = 300  # seconds for others who publish
ABANDONED_AFTER = 2 * 24 * 3600

# an event's id finds its line again; the same line twice is two rows
_MALFORMED_EVENTS = f"""
WITH found AS (
  SELECT DISTINCT e.file, e.line, m.reason, LEFT(CAST(m.text AS VARCHAR), {TEXT_KEPT}) AS text
  FROM ({{sql}}) AS m
  JOIN events AS e ON e.id = m.event_id AND CAST(e.payload AS VARCHAR) = CAST(m.text AS VARCHAR)
)
SELECT file, line, reason, text, COUNT(*) OVER () AS found
FROM found
QUALIFY ROW_NUMBER() OVER (PARTITION BY file ORDER BY line, reason) <= {MALFORMED_KEPT}
ORDER BY file, line
"""


class DuckDBWarehouse:
    """DuckDB as a `Warehouse`. `path` is its file, which need not be there before the first release."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._memory: duckdb.DuckDBPyConnection | None = None

    def source_day(self, day: date) -> None:
        """None: it reads hour files."""

    def estimate(self, query: Query, day: date) -> int:
        """0: hour files cost nothing."""
        return 0

    def extract(self, query: Query, day: date, files: Sequence[Path], attempt: str = "") -> Extraction:
        if self._memory is None:
            self._memory = _open()
        connection = self._memory
        bounds = {"first_suffix": suffix(day), "last_suffix": suffix(day)}
        malformed = Query.from_file("extract_malformed")
        conditions = [scan_condition(query.sql), scan_condition(malformed.sql)]
        condition = " OR ".join(sorted({f"({one.sql})" for one in conditions}))
        names = frozenset().union(*(one.parameters for one in conditions))
        reader = HourReader(connection, condition, query.binding(names, **bounds), suffix(day))
        reader.read(files)
        translated = translate(query.sql)
        issues = connection.sql(
            translated.sql, params=query.binding(translated.parameters, **bounds)
        ).to_arrow_table()
        translated = translate(malformed.sql)
        sql = _MALFORMED_EVENTS.format(sql=translated.sql)
        incomplete = connection.sql(sql, params=malformed.binding(translated.parameters, **bounds))
        rows = incomplete.to_arrow_table()
        left_out = reader.left_out + (rows.column("found")[0].as_py() - len(rows) if len(rows) else 0)
        connection.execute("DROP TABLE events")
        broken = pa.concat_tables([reader.malformed(), rows.select(MALFORMED.names).cast(MALFORMED)])
        broken = broken.sort_by([("file", "ascending"), ("line", "ascending")])
        return Extraction(
            contracts.ISSUES.conform(issues).to_reader(ROWS_A_BATCH), reader.events, broken, left_out
        )

    def load(self, table: contracts.Table, batches: Sequence[Batch]) -> None:
        """Copies the files of a bucket beside its own, each once: a batch never changes. Files of this machine are the rows as they lie."""
        for batch in batches:
            for file in batch.files:
                copy = _here(self.path, table.name, batch, file)
                if "://" not in file.removeprefix("file://") or copy.is_file():
                    continue
                copy.parent.mkdir(parents=True, exist_ok=True)
                aside = copy.with_name(f"{copy.name}.{secrets.token_hex(4)}.tmp")
                try:
                    aside.write_bytes(stores.read(file))
                    os.replace(aside, copy)
                finally:
                    aside.unlink(missing_ok=True)

    def stage(
        self, releases: pa.Table, members: pa.Table, batches: Mapping[str, Sequence[Batch]]
    ) -> StagedFile:
        release, releases, members = current_of(releases, members)
        return StagedFile(self.path, release, releases, members, batches)

    @contextmanager
    def alone(self) -> Iterator[None]:
        lock = self.path.with_name(f"{self.path.name}.lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            for _ in range(PATIENCE * 10):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.1)
            else:
                raise TitlerError(
                    f"Another process has been planning or publishing for {PATIENCE} seconds: it holds {lock}.",
                    f"See which it is (fuser {lock}), end it where it hangs, then run the same command again.",
                )
            yield

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
                f"{self.path}: no release has been published yet.", "Publish one: titler run --from D --to D"
            )
        with _attached(self.path) as connection:
            return _run(connection, query)

    def collect(self, kept_batches: Mapping[str, Collection[str]]) -> int:
        """0: it holds no rows. Copies of other batches, and what a killed publication left beside the file, go once they are
        ABANDONED_AFTER seconds old: until then someone may have an older file open."""
        for aside in self.path.parent.glob(f"{self.path.name}.*.tmp"):
            if _abandoned(aside):
                aside.unlink(missing_ok=True)
        for batch in _copies(self.path).glob("*/*"):
            if batch.name not in kept_batches.get(batch.parent.name, ()) and _abandoned(batch):
                shutil.rmtree(batch)
        return 0


class StagedFile:
    """A warehouse file beside the current one, which `make_current` renames onto it."""

    def __init__(
        self,
        path: Path,
        release: str,
        releases: pa.Table,
        members: pa.Table,
        batches: Mapping[str, Sequence[Batch]],
    ) -> None:
        self.path = path
        self.release = release
        self.aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        self._current = False
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(self.aside, path, releases, members, batches)
        except BaseException:
            self.aside.unlink(missing_ok=True)
            raise

    def __enter__(self) -> StagedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.aside.unlink(missing_ok=True)

    def check(self) -> list[Failure]:
        failures = []
        with _attached(self.aside) as connection:
            for query in Query.folder("checks", release=self.release):
                rows = _run(connection, query)
                if rows.num_rows:
                    failures.append(
                        Failure(query.stem, query.prose, rows.num_rows, rows.slice(0, FAILURES_KEPT))
                    )
        return failures

    def query(self, query: Query) -> pa.Table:
        with _attached(self.path if self._current else self.aside) as connection:
            return _run(connection, query)

    def make_current(self) -> None:
        if not self._current:
            os.replace(self.aside, self.path)  # who has the old file open goes on reading it
            self._current = True


def _open() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET temp_directory = {_quoted(str(Path(tempfile.gettempdir()) / 'titler-duckdb'))}")
    return connection


def _attached(path: Path) -> duckdb.DuckDBPyConnection:
    """A reader of a warehouse file. Attached, since DuckDB shares what is opened under one path within a process."""
    connection = _open()
    try:
        connection.execute(f"ATTACH {_quoted(str(path))} AS warehouse (READ_ONLY)")
        connection.execute("USE warehouse")
    except duckdb.Error as error:
        connection.close()
        raise TitlerError(
            f"{path} is not a warehouse file of this DuckDB: {error}",
            "Publish again: titler publish --release R",
        ) from None
    return connection


def _run(connection: duckdb.DuckDBPyConnection, query: Query) -> pa.Table:
    translated = translate(query.sql)
    try:
        return connection.sql(translated.sql, params=query.binding(translated.parameters)).to_arrow_table()
    except duckdb.Error as error:
        views = ", ".join(view.stem for view in Query.folder("views"))
        functions = ", ".join(
            f"{one.stem}({', '.join(table_function(one.sql).arguments)})" for one in Query.folder("functions")
        )
        raise UsageError(
            f"{query.name} does not run: {error}", f"The views are: {views}\nThe table functions: {functions}"
        ) from None


def _copies(path: Path) -> Path:
    """The folder of a warehouse file's copies: TABLE/BATCH/FILE."""
    return path.with_name(f"{path.name}.files")


def _here(path: Path, table: str, batch: Batch, file: str) -> Path:
    """Where the warehouse at `path` reads a batch's file: where that lies, absolute, or its copy."""
    local = file.removeprefix("file://")
    return (
        _copies(path) / table / batch.batch_id / Path(file).name if "://" in local else Path(local)
    ).absolute()


def _abandoned(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > ABANDONED_AFTER


def _write(
    aside: Path, path: Path, releases: pa.Table, members: pa.Table, batches: Mapping[str, Sequence[Batch]]
) -> None:
    """A new warehouse file: the two small tables as rows, the others as views over Parquet, `sql/views` and `sql/functions` on top."""
    known = {name for name, table in contracts.TABLES.items() if "warehouse" in table.lives_in}
    if surplus := sorted(set(batches) - known):
        raise UsageError(
            f"{surplus[0]} does not live in the warehouse, which has: {', '.join(sorted(known))}."
        )
    connection = duckdb.connect(str(aside))
    try:
        for table, rows in ((contracts.RELEASES, releases), (contracts.RELEASE_MEMBERS, members)):
            connection.register("rows_given", rows)
            connection.execute(f"CREATE TABLE {table.name} AS SELECT {_cast_columns(table)} FROM rows_given")
            connection.unregister("rows_given")
            known.discard(table.name)
        for name in sorted(known):
            found = batches.get(name, ())
            files = [_quoted(str(_here(path, name, batch, file))) for batch in found for file in batch.files]
            connection.execute(_view_of_files(contracts.TABLES[name], files))
        for view in Query.folder("views"):
            connection.execute(f"CREATE VIEW {view.stem} AS {translate(view.sql).sql}")
        for query in Query.folder("functions"):
            function = table_function(query.sql)
            connection.execute(
                f"CREATE MACRO {query.stem}({', '.join(function.arguments)}) AS TABLE {function.duckdb}"
            )
    except duckdb.Error as error:
        raise TitlerError(
            f"The batches cannot be shown as a release: {error}",
            "See that their files are there, then publish again.",
        ) from None
    finally:
        connection.close()


def _view_of_files(table: contracts.Table, files: Sequence[str]) -> str:
    if not files:
        nulls = ", ".join(
            f"CAST(NULL AS {in_duckdb(field.type)}) AS {_name(field.name)}" for field in table.in_warehouse
        )
        return f"CREATE VIEW {table.name} AS SELECT {nulls} WHERE FALSE"
    columns = f"{_cast_columns(table)}, PARSE_PATH(filename)[-2] AS batch_id"
    source = f"READ_PARQUET([{', '.join(files)}], filename = TRUE)"
    if later := [field for field in table.schema if field.nullable]:
        # files of before such a column was added lack it, perhaps all of them
        nulls = ", ".join(f"CAST(NULL AS {in_duckdb(field.type)}) AS {_name(field.name)}" for field in later)
        every = f"SELECT * FROM READ_PARQUET([{', '.join(files)}], filename = TRUE, union_by_name = TRUE)"
        source = f"({every} UNION ALL BY NAME SELECT {nulls} WHERE FALSE)"
    rows = f"SELECT {columns} FROM {source}"
    if table.day_column in table.schema.names:
        return f"CREATE VIEW {table.name} AS {rows}"
    days = f"SELECT DISTINCT batch_id, day AS {table.day_column} FROM {contracts.RELEASE_MEMBERS.name} WHERE table_name = '{table.name}'"
    names = ", ".join(_name(name) for name in table.in_warehouse.names)
    return f"CREATE VIEW {table.name} AS SELECT {names} FROM ({rows}) LEFT JOIN ({days}) USING (batch_id)"


def _cast_columns(table: contracts.Table) -> str:
    return ", ".join(
        f"CAST({_name(field.name)} AS {in_duckdb(field.type)}) AS {_name(field.name)}"
        for field in table.schema
    )


def _name(identifier: str) -> str:
    return f'"{identifier}"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
