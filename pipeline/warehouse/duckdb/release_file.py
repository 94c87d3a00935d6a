"""Writes a release as a DuckDB file. The file stores the rows of the tables releases_v1, release_members_v1
and superseded_openings_v1. All other tables are views that read the lake's Parquet files.

DuckDB allows only one writer per file, but many tasks run at the same time. So an existing file is never
changed: each release is written to a new file, which is then renamed onto the old one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import duckdb
import pyarrow as pa

from pipeline import contracts
from pipeline.errors import TitlerError
from pipeline.warehouse.column_types import in_duckdb
from pipeline.warehouse.duckdb.comments import comment_on_everything
from pipeline.warehouse.duckdb.connection import open_warehouse_file, quote, run_query
from pipeline.warehouse.duckdb.differences_from_bigquery import translate
from pipeline.warehouse.protocol import (
    FAILURE_ROWS,
    WAREHOUSE_TABLES,
    Batch,
    Failure,
    ReleaseTables,
    validate_table_names,
)
from pipeline.warehouse.query import Query
from pipeline.warehouse.sql_parser import table_function

FEW_DAYS = 100
_READ_OPTIONS = (
    "filename = TRUE, hive_partitioning = TRUE, hive_types = {'day': DATE}, hive_types_autocast = FALSE"
)
_OWN_COLUMNS = "filename = TRUE, hive_partitioning = FALSE"
"""With hive_partitioning, the value in a file's path replaces the column of the same name in the file."""
_DAY_OF_PATH = "CAST(SUBSTR(PARSE_PATH(filename)[-3], LENGTH('day=') + 1) AS DATE)"


class StagedFile:
    """A release in a new DuckDB file. `make_current` renames the new file, so that it replaces the file of
    the current release."""

    def __init__(
        self,
        path: Path,
        tables: ReleaseTables,
        batches: Mapping[str, Sequence[Batch]],
        checks: Sequence[Query],
    ) -> None:
        self.path = path
        self.checks = checks
        self._views_of_own_columns = [
            _view_of_files(contracts.TABLES[name], path, of_table, own_columns=True)
            for name, of_table in batches.items()
            if _is_shadowed(contracts.TABLES[name])
        ]
        self.staged_path = temporary_path(path)
        self._current = False
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(self.staged_path, path, tables, batches)
        except BaseException:
            self._remove()
            raise

    def __enter__(self) -> StagedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._current:
            self._remove()

    def _remove(self) -> None:
        """Deletes the new file. If that fails, `titler collect` deletes it later."""
        with suppress(OSError):
            self.staged_path.unlink(missing_ok=True)

    def check(self) -> list[Failure]:
        failures = []
        with open_warehouse_file(self.staged_path) as connection:
            for view in self._views_of_own_columns:
                connection.execute(view)
            for query in map(_for_many_days, self.checks):
                rows = run_query(connection, query)
                if rows.num_rows:
                    failures.append(
                        Failure(query.stem, query.prose, rows.num_rows, rows.slice(0, FAILURE_ROWS))
                    )
        return failures

    def query(self, query: Query) -> pa.Table:
        with open_warehouse_file(self.path if self._current else self.staged_path) as connection:
            return run_query(connection, query)

    def make_current(self) -> None:
        if not self._current:
            os.replace(self.staged_path, self.path)  # a reader that has the old file open keeps reading it
            self._current = True


def _for_many_days(check: Query) -> Query:
    """Changes a check so that it is fast even for thousands of new days, as in a first publication.

    DuckDB searches the array of the days for the day of each file. This is slow if there are many files and
    many days. So if there are more than FEW_DAYS days, the check reads all days since the first one instead.
    """
    sql = check.sql.replace("IN UNNEST(@batches)", "IN (SELECT batch FROM UNNEST(@batches) AS batch)")
    if len(check.parameters.get("days", ())) > FEW_DAYS:
        sql = sql.replace("IN UNNEST(@days)", ">= @first_day")
    return replace(check, sql=sql)


def temporary_path(path: Path) -> Path:
    """Returns a new path in the folder of `path`, for a file that will be renamed onto `path`."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")


def copies_folder(path: Path) -> Path:
    """Returns the folder into which the lake's files are copied if the lake is a bucket. This folder is
    beside the DuckDB file `path`.

    The path of a copy in this folder is TABLE/day=DAY/BATCH/FILE. In earlier versions of Titler it was
    TABLE/BATCH/FILE.
    """
    return path.with_name(f"{path.name}.files")


def local_path(path: Path, table: str, batch: Batch, file: str) -> Path:
    """Returns the absolute local path at which the DuckDB file `path` reads one Parquet file of a batch.

    If the lake is a bucket, this is the path of the file's copy. Otherwise it is the path of the file itself.
    """
    address = file.removeprefix("file://")
    if "://" in address:
        day = f"day={batch.day}"
        return (copies_folder(path) / table / day / batch.batch_id / Path(file).name).absolute()
    return Path(address).absolute()


def _write(
    staged_path: Path, path: Path, tables: ReleaseTables, batches: Mapping[str, Sequence[Batch]]
) -> None:
    """Writes a DuckDB file with a release's tables, and with the views and table functions of `sql/`. All of
    them and their columns have comments.

    Raises TitlerError if a file of a batch is missing.
    """
    validate_table_names(batches)
    release_tables = (
        (contracts.RELEASES, tables.releases),
        (contracts.RELEASE_MEMBERS, tables.members),
        (contracts.SUPERSEDED_OPENINGS, tables.superseded),
    )
    connection = duckdb.connect(str(staged_path))
    try:
        for table, rows in release_tables:
            connection.register("release_rows", rows)
            connection.execute(
                f"CREATE TABLE {table.name} AS SELECT {_cast_columns(table)} FROM release_rows"
            )
            connection.unregister("release_rows")
        for name in sorted(WAREHOUSE_TABLES - {table.name for table, _ in release_tables}):
            connection.execute(_view_of_files(contracts.TABLES[name], path, batches.get(name, ())))
        create_views_and_functions(connection)
        comment_on_everything(connection)
    except duckdb.Error as error:
        raise TitlerError(
            f"The batches of the release cannot be read: {error}",
            "Check that the files of these batches exist, then publish again.",
        ) from None
    finally:
        connection.close()


def _is_shadowed(table: contracts.Table) -> bool:
    """Returns whether the files of a table have a column, other than the day, that is also a partition in
    their path, such as `model=NAME`. The views of a release read such a column from the path."""
    return any(name in table.schema.names for name in table.partition if name != "day")


def _view_of_files(
    table: contracts.Table, path: Path, batches: Sequence[Batch], *, own_columns: bool = False
) -> str:
    """Returns the CREATE VIEW statement for a table that is stored in the Parquet files of `batches`.

    The view takes the batch id and the source day of a row from the path of its file,
    .../day=2015-01-01/BATCH/FILE. So if a query selects days, DuckDB opens only the files of these days, and
    the first file of the list, to find out the columns. If files may lack columns, DuckDB opens all files.

    If `own_columns` is true, the view is a temporary one for checks. It reads all other columns from the
    content of the files, even if the path also has a value for a column, such as `model=NAME`. DuckDB then
    skips fewer files: if a query joins the view with a table of days, DuckDB opens the files of all days.
    """
    options, day, kind = _READ_OPTIONS, "day", "VIEW"
    if own_columns:
        options, day, kind = _OWN_COLUMNS, _DAY_OF_PATH, "TEMPORARY VIEW"
    of_path = {table.day_column: day, "batch_id": "PARSE_PATH(filename)[-2]"}
    columns = ", ".join(
        f"{of_path[field.name]} AS {field.name}" if field.name in of_path else _cast_column(field)
        for field in table.warehouse_schema
    )
    rows = []
    for has_all_columns in (True, False):
        files = [
            quote(str(local_path(path, table.name, batch, file)))
            for batch in batches
            if batch.has_all_columns == has_all_columns
            for file in batch.files
        ]
        if files:
            rows.append(f"SELECT {columns} FROM {_read_files(table, files, options, has_all_columns)}")
    if not rows:
        rows = [f"SELECT {', '.join(_null_column(field) for field in table.warehouse_schema)} WHERE FALSE"]
    return f"CREATE {kind} {table.name} AS {' UNION ALL '.join(rows)}"


def _read_files(table: contracts.Table, files: Sequence[str], options: str, has_all_columns: bool) -> str:
    """Returns the SQL expression that reads Parquet files. Its result has all nullable columns of the table.
    If a file lacks one of these columns, the column is NULL in the file's rows."""
    nullable = [field for field in table.schema if field.nullable]
    if has_all_columns or not nullable:
        return f"READ_PARQUET([{', '.join(files)}], {options})"
    rows = f"SELECT * FROM READ_PARQUET([{', '.join(files)}], {options}, union_by_name = TRUE)"
    nulls = ", ".join(_null_column(field) for field in nullable)
    return f"({rows} UNION ALL BY NAME SELECT {nulls} WHERE FALSE)"


def _null_column(field: pa.Field) -> str:
    return f"CAST(NULL AS {in_duckdb(field.type)}) AS {_quote_name(field.name)}"


def create_views_and_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Creates the views and the table functions of `sql/`. The tables that they read must exist."""
    for view in Query.folder("views"):
        connection.execute(f"CREATE VIEW {view.stem} AS {translate(view.sql).sql}")
    for query in Query.folder("functions"):
        function = table_function(query.sql)
        signature = f"{query.stem}({', '.join(function.arguments)})"
        connection.execute(f"CREATE MACRO {signature} AS TABLE {translate(function.sql).sql}")


def _cast_columns(table: contracts.Table) -> str:
    return ", ".join(_cast_column(field) for field in table.schema)


def _cast_column(field: pa.Field) -> str:
    return f"CAST({_quote_name(field.name)} AS {in_duckdb(field.type)}) AS {_quote_name(field.name)}"


def _quote_name(name: str) -> str:
    return f'"{name}"'
