"""Creates Titler's tables in BigQuery, checks their columns against `pipeline.contracts`, and loads rows."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery.job import LoadJob

from pipeline import contracts
from pipeline.errors import WarehouseError
from pipeline.lake.files import read_parquet
from pipeline.warehouse.bigquery.client import REQUEST_TIMEOUT
from pipeline.warehouse.bigquery.errors import translated_errors
from pipeline.warehouse.bigquery.jobs import Jobs, Statement, fingerprint
from pipeline.warehouse.bigquery.load_jobs import groups_of_files, groups_of_uploads, is_read_by_bigquery
from pipeline.warehouse.column_types import in_bigquery
from pipeline.warehouse.protocol import Batch

LABELS = {"app": "titler"}


def columns_of(table: contracts.Table) -> list[bigquery.SchemaField]:
    """Returns a table's columns, with their descriptions, as objects of BigQuery's client library."""
    return [_column(field) for field in table.warehouse_schema]


def _column(field: pa.Field) -> bigquery.SchemaField:
    repeated = pa.types.is_list(field.type)
    kind = in_bigquery(field.type.value_type if repeated else field.type)
    mode = "REPEATED" if repeated else "NULLABLE" if field.nullable else "REQUIRED"
    return bigquery.SchemaField(field.name, kind, mode, description=field.metadata[b"description"].decode())


class Tables:
    """The tables of one BigQuery data set. Each table is checked against its contract once per command."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._client = jobs.client
        self._checked: set[str] = set()

    def ensure(self, table: contracts.Table) -> None:
        """Creates a table if it does not exist. If an existing table lacks nullable columns, adds them.

        For any other difference from the contract, raises a WarehouseError that names the column, its type
        and the expected type.
        """
        if table.name in self._checked:
            return
        with translated_errors(self._jobs.settings, f"reading the schema of {table.name}"):
            try:
                existing_table = self._client.get_table(self.address(table.name), timeout=REQUEST_TIMEOUT)
            except exceptions.NotFound:
                existing_table = self._client.create_table(
                    self._definition(table), exists_ok=True, timeout=REQUEST_TIMEOUT
                )
        self._reconcile_columns(table, existing_table)
        self._checked.add(table.name)

    def address(self, name: str) -> str:
        return f"{self._jobs.dataset}.{name}"

    def load(
        self, table: contracts.Table, batches: Sequence[Batch], published_rows: Mapping[str, int]
    ) -> list[Batch]:
        """Loads the batches that the table does not have yet, and returns these batches. One job loads
        several batches.

        If the files of a batch are in Google Cloud Storage and have all columns, BigQuery itself reads them.
        The rows of all other batches are uploaded. If a job for the same batches is already running, waits
        for that job instead of starting another. `published_rows` maps the id of each published batch of the
        table to the batch's number of rows.
        """
        self.ensure(table)
        missing = self._missing_batches(table, batches, published_rows)
        for group in groups_of_files([batch for batch in missing if is_read_by_bigquery(table, batch)]):
            addresses = [file for batch in group for file in batch.files]
            self._load_group(table, group, addresses)
        for group in groups_of_uploads([batch for batch in missing if not is_read_by_bigquery(table, batch)]):
            with tempfile.TemporaryFile(prefix="titler-load-") as file:
                _write(file, table, group)
                self._load_group(table, group, file)
        return missing

    def _load_group(
        self, table: contracts.Table, batches: Sequence[Batch], source: IO[bytes] | Sequence[str]
    ) -> None:
        key = fingerprint(table.name, self._jobs.dataset, [batch.batch_id for batch in batches])

        def start(job_id: str) -> LoadJob:
            return self._load(job_id, source, table.name, columns_of(table))

        action = f"loading {len(batches)} batches into {table.name}"
        self._jobs.load_once(f"{table.name}_{key}", action, start)

    def _missing_batches(
        self, table: contracts.Table, batches: Sequence[Batch], published_rows: Mapping[str, int]
    ) -> list[Batch]:
        """Returns the batches whose rows are missing from the table. Batches without rows are left out.

        If the table has at least as many rows as the published batches (`published_rows`) together, assumes
        that it has all of these batches. The request for the table's number of rows is free of charge.
        """
        surplus = self.row_count(table) - sum(published_rows.values())
        unpublished = [batch for batch in batches if batch.batch_id not in published_rows]
        candidates = unpublished if surplus >= 0 else batches  # someone has deleted rows
        # Without a surplus, no unpublished batch is there.
        existing = self._existing_batches(table, candidates) if surplus else set()
        return [batch for batch in candidates if batch.rows and batch.batch_id not in existing]

    def row_count(self, table: contracts.Table) -> int:
        """Returns the number of rows of a table, or 0 if it does not exist. The request is free of charge."""
        with translated_errors(self._jobs.settings, f"counting the rows of {table.name}"):
            try:
                stored = self._client.get_table(self.address(table.name), timeout=REQUEST_TIMEOUT)
            except exceptions.NotFound:
                return 0
        return int(stored.num_rows or 0)

    def overwrite(self, name: str, table: contracts.Table, rows: pa.Table, stage: str) -> None:
        """Replaces all rows of the staging table `name` with `rows` in one step.

        The staging table has the columns of `table`, and a column `stage_id` with the value `stage` in every
        row.
        """
        columns = [
            *columns_of(table),
            bigquery.SchemaField(
                "stage_id", "STRING", "REQUIRED", description="id of the publication that wrote the row"
            ),
        ]
        definition = bigquery.Table(self.address(name), schema=columns)
        definition.description = (
            f"Rows that a publication prepares before it changes {table.name}. Not meant for queries."
        )
        definition.labels = LABELS
        stage_ids = pa.array([stage] * len(rows), pa.string())
        rows = _cast(rows, table).append_column(pa.field("stage_id", pa.string(), nullable=False), stage_ids)
        with translated_errors(self._jobs.settings, f"filling {name}"):
            self._client.create_table(definition, exists_ok=True, timeout=REQUEST_TIMEOUT)
        self._replace_rows(name, columns, rows, stage)

    def replace_rows(self, table: contracts.Table, rows: pa.Table, stage: str) -> None:
        """Replaces all rows of a small table with `rows` in one step. `stage` is the id of the publication
        that replaces them."""
        self.ensure(table)
        self._replace_rows(table.name, columns_of(table), _cast(rows, table), stage)

    def _replace_rows(
        self, name: str, columns: Sequence[bigquery.SchemaField], rows: pa.Table, stage: str
    ) -> None:
        with (
            translated_errors(self._jobs.settings, f"filling {name}"),
            tempfile.TemporaryFile(prefix="titler-load-") as file,
        ):
            pq.write_table(rows, file)
            file.seek(0)

            def start(job_id: str) -> LoadJob:
                return self._load(job_id, file, name, columns, bigquery.WriteDisposition.WRITE_TRUNCATE)

            self._jobs.load_once(f"{name}_{stage}", f"filling {name}", start)

    def all_rows(self, name: str) -> list[dict[str, Any]] | None:
        """Returns all rows of a small table, free of charge.

        Returns None if the table does not exist. Raises WarehouseError if the data set does not exist.
        """
        with translated_errors(self._jobs.settings, f"reading {name}"):
            try:
                table = self._client.get_table(self.address(name), timeout=REQUEST_TIMEOUT)
                return [dict(row) for row in self._client.list_rows(table, timeout=REQUEST_TIMEOUT)]
            except exceptions.NotFound:
                # raises NotFound again if the data set is what is missing
                self._client.get_dataset(self._jobs.dataset, timeout=REQUEST_TIMEOUT)
                return None

    def _definition(self, table: contracts.Table) -> bigquery.Table:
        definition = bigquery.Table(self.address(table.name), schema=columns_of(table))
        definition.description = table.prose
        definition.labels = LABELS
        if table.day_column:
            definition.time_partitioning = bigquery.TimePartitioning(field=table.day_column)
        if table.partition:
            keys = [name for name in table.key if name != table.day_column]
            definition.clustering_fields = ["batch_id", *keys][:4]
        return definition

    def _reconcile_columns(self, table: contracts.Table, existing_table: bigquery.Table) -> None:
        """Adds the nullable columns that a table lacks.

        Raises WarehouseError if the table differs from its contract in another way.
        """
        address = self.address(table.name)
        existing = {field.name: field for field in existing_table.schema}
        expected = {field.name: field for field in columns_of(table)}
        if surplus := [name for name in existing if name not in expected]:
            raise _changed_table(
                table.name,
                address,
                f"column {surplus[0]} is unexpected; the expected columns are {', '.join(expected)}",
            )
        for name, field in expected.items():
            if name in existing:
                kind, mode = _standard_type(field)
                existing_type = existing[name].field_type, existing[name].mode
                if (kind, mode) != _standard_type(existing[name]):
                    expected_type = f"{field.field_type} {field.mode}"
                    problem = f"column {name} is {' '.join(existing_type)}, expected {expected_type}"
                    raise _changed_table(table.name, address, problem)
            elif field.mode == "REQUIRED":
                problem = f"column {name} ({field.field_type}, {field.mode}) is missing"
                raise _changed_table(table.name, address, problem)
            else:
                kind = f"ARRAY<{field.field_type}>" if field.mode == "REPEATED" else field.field_type
                self._jobs.run_ddl(
                    f"adding the column {name} to {table.name}",
                    f"ALTER TABLE `{address}` ADD COLUMN IF NOT EXISTS `{name}` {kind} "
                    f"OPTIONS (description = {quote(field.description)})",
                )

    def _existing_batches(self, table: contracts.Table, batches: Sequence[Batch]) -> set[str]:
        """Returns the ids of those `batches` that have rows in the table. Reads only the partitions of their
        days."""
        if not batches:
            return set()
        sql = (
            f"SELECT DISTINCT batch_id FROM `{self.address(table.name)}` "
            f"WHERE {table.day_column} IN UNNEST(@days) AND batch_id IN UNNEST(@batches)"
        )
        parameters = {
            "days": sorted({batch.day for batch in batches}),
            "batches": [batch.batch_id for batch in batches],
        }
        statement = Statement(f"looking for batches in {table.name}", sql, parameters)
        return {row["batch_id"] for row in self._jobs.rows(self._jobs.query(statement))}

    def _load(
        self,
        job_id: str,
        source: IO[bytes] | Sequence[str],
        name: str,
        columns: Sequence[bigquery.SchemaField],
        disposition: str = bigquery.WriteDisposition.WRITE_APPEND,
    ) -> LoadJob:
        """Starts a job that loads Parquet files into the table `name`. `source` is one open file, or the
        addresses of files in Google Cloud Storage."""
        options = bigquery.ParquetOptions()
        options.enable_list_inference = True  # a Parquet list becomes an array, not a record
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=columns,
            write_disposition=disposition,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            parquet_options=options,
            labels=self._jobs.labels(),
        )
        with translated_errors(self._jobs.settings, f"loading into {self.address(name)}"):
            try:
                if isinstance(source, Sequence):
                    return self._client.load_table_from_uri(
                        list(source),
                        self.address(name),
                        job_id=job_id,
                        job_config=config,
                        timeout=REQUEST_TIMEOUT,
                    )
                return self._client.load_table_from_file(
                    source,
                    self.address(name),
                    rewind=True,
                    job_id=job_id,
                    job_config=config,
                    timeout=REQUEST_TIMEOUT,
                )
            except exceptions.Conflict:
                return self._jobs.find_started(job_id)


def quote(text: str) -> str:
    """Returns `text` as a string literal of GoogleSQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _changed_table(name: str, address: str, problem: str) -> WarehouseError:
    return WarehouseError(
        f"The columns of the table {address} are not those that Titler expects: {problem}.",
        f"Someone changed the table. Rename it (ALTER TABLE {address} RENAME TO {name}_aside), "
        "then publish again: the lake has all rows of the table.",
        final=True,
    )


def _standard_type(field: bigquery.SchemaField) -> tuple[str, str]:
    """Returns a column's type and mode. If BigQuery's client uses the type's name in legacy SQL, returns its
    name in GoogleSQL."""
    standard_names = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
    return standard_names.get(field.field_type, field.field_type), field.mode or "NULLABLE"


def _write(target: IO[bytes], table: contracts.Table, batches: Sequence[Batch]) -> None:
    """Writes the rows of several batches into one Parquet file, and adds the source day and the batch id to
    each row.

    Reads one file at a time, to save memory.
    """
    names = set(table.schema.names)  # the files may have the warehouse's columns, too
    with pq.ParquetWriter(target, _arrow(table)) as writer:
        for batch in batches:
            for path in batch.files:
                rows = table.add_missing_columns(read_parquet(path, batch.digest_of(path)))
                rows = table.conform(rows.select([name for name in rows.column_names if name in names]))
                rows = table.add_warehouse_columns(rows, batch.day, batch.batch_id)
                writer.write_table(_cast(rows, table))


def _arrow(table: contracts.Table) -> pa.Schema:
    """Returns the table's schema with types that BigQuery can read from Parquet: float64 in place of
    float16."""
    half, double = pa.list_(pa.float16()), pa.list_(pa.float64())
    return pa.schema(
        [field.with_type(double) if field.type == half else field for field in table.warehouse_schema]
    )


def _cast(rows: pa.Table, table: contracts.Table) -> pa.Table:
    return rows.cast(_arrow(table))
