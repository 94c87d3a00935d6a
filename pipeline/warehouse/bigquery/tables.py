"""The contracts' tables in BigQuery: made, held to their schema, filled by load jobs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery.job import LoadJob

from pipeline import contracts
from pipeline.errors import WarehouseError
from pipeline.lake.batches import read_parquet
from pipeline.warehouse import Batch
from pipeline.warehouse.bigquery import client as google
from pipeline.warehouse.bigquery.jobs import Jobs, Statement, fingerprint
from pipeline.warehouse.types import in_bigquery

LABELS = {"app": "titler"}
ROWS_A_JOB = (
    500_000  # what one load job takes: a data set's first release must stay under 1,500 jobs a table and day
)
DAYS_A_JOB = 1000  # partitions; BigQuery allows 4,000


def columns_of(table: contracts.Table) -> list[bigquery.SchemaField]:
    """A table's columns as BigQuery has them, with their prose."""
    return [_field(field) for field in table.in_warehouse]


def _field(field: pa.Field) -> bigquery.SchemaField:
    repeated = pa.types.is_list(field.type)
    kind = in_bigquery(field.type.value_type if repeated else field.type)
    mode = "REPEATED" if repeated else "NULLABLE" if field.nullable else "REQUIRED"
    return bigquery.SchemaField(field.name, kind, mode, description=field.metadata[b"description"].decode())


class Tables:
    """The tables of one data set. Each is looked at once a command."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._client = jobs.client
        self._seen: set[str] = set()

    def ensure(self, table: contracts.Table) -> None:
        """The table is there with the contract's columns; what lacks nullable columns gets them.

        Raises WarehouseError, naming column, found and expected, for any other difference.
        """
        if table.name in self._seen:
            return
        with google.told(self._jobs.settings, f"looking at {table.name}"):
            try:
                found = self._client.get_table(self.address(table.name), timeout=google.REQUEST)
            except exceptions.NotFound:
                found = self._client.create_table(self._made(table), exists_ok=True, timeout=google.REQUEST)
        self._add_columns(table, found)
        self._seen.add(table.name)

    def address(self, name: str) -> str:
        return f"{self._jobs.dataset}.{name}"

    def load(self, table: contracts.Table, batches: Sequence[Batch]) -> None:
        """Brings in those batches that are not there, some to a job; a job that is running or done already is not begun again."""
        self.ensure(table)
        held = self._held(table, [batch.batch_id for batch in batches])
        missing = [batch for batch in batches if batch.rows and held.get(batch.batch_id) is None]
        for group in _groups(missing):
            key = fingerprint(table.name, self._jobs.dataset, [batch.batch_id for batch in group])
            with tempfile.TemporaryFile(prefix="titler-load-") as file:
                _write(file, table, group)

                def start(name: str, file: IO[bytes] = file) -> LoadJob:
                    return self._load(name, file, table.name, columns_of(table))

                self._jobs.load_once(
                    f"{table.name}_{key}", f"loading {len(group)} batches into {table.name}", start
                )

    def fill(self, name: str, table: contracts.Table, rows: pa.Table, stage: str) -> None:
        """Replaces, in one step, what the table called `name` holds by these rows of `table`, each with its `stage_id`."""
        columns = [
            *columns_of(table),
            bigquery.SchemaField("stage_id", "STRING", "REQUIRED", description="who put it here"),
        ]
        made = bigquery.Table(self.address(name), schema=columns)
        made.description = f"What a publication sets up before it changes {table.name}; nothing to query."
        made.labels = LABELS
        stage_ids = pa.array([stage] * len(rows), pa.string())
        rows = _cast(rows, table).append_column(pa.field("stage_id", pa.string(), nullable=False), stage_ids)
        with (
            google.told(self._jobs.settings, f"setting up {name}"),
            tempfile.TemporaryFile(prefix="titler-load-") as file,
        ):
            self._client.create_table(made, exists_ok=True, timeout=google.REQUEST)
            pq.write_table(rows, file)
            file.seek(0)

            def start(job_id: str) -> LoadJob:
                return self._load(job_id, file, name, columns, bigquery.WriteDisposition.WRITE_TRUNCATE)

            self._jobs.load_once(f"{name}_{stage}", f"setting up {name}", start)

    def all_rows(self, name: str) -> list[dict[str, Any]] | None:
        """The rows of a small table, for nothing; None where there is no such table."""
        with google.told(self._jobs.settings, f"reading {name}"):
            try:
                found = self._client.get_table(self.address(name), timeout=google.REQUEST)
                return [dict(row) for row in self._client.list_rows(found, timeout=google.REQUEST)]
            except exceptions.NotFound:
                self._client.get_dataset(
                    self._jobs.dataset, timeout=google.REQUEST
                )  # raises where that is what is missing
                return None

    def _made(self, table: contracts.Table) -> bigquery.Table:
        made = bigquery.Table(self.address(table.name), schema=columns_of(table))
        made.description = table.prose
        made.labels = LABELS
        if table.day_column:
            made.time_partitioning = bigquery.TimePartitioning(field=table.day_column)
        if table.partition:
            made.clustering_fields = ["batch_id", *[name for name in table.key if name != table.day_column]][
                :4
            ]
        return made

    def _add_columns(self, table: contracts.Table, found: bigquery.Table) -> None:
        there = {field.name: field for field in found.schema}
        wanted = {field.name: field for field in columns_of(table)}
        where = f"{self.address(table.name)} is not what Titler made"
        hint = (
            f"Someone changed it. Set it aside (ALTER TABLE {self.address(table.name)} RENAME TO {table.name}_aside), then publish again: "
            "the lake has all of its rows."
        )
        if surplus := [name for name in there if name not in wanted]:
            raise WarehouseError(
                f"{where}: column {surplus[0]} is not in the contract, which has {', '.join(wanted)}.",
                hint,
                final=True,
            )
        for name, field in wanted.items():
            if name not in there:
                if field.mode == "REQUIRED":
                    raise WarehouseError(
                        f"{where}: column {name} ({field.field_type}, {field.mode}) is missing.",
                        hint,
                        final=True,
                    )
                kind = f"ARRAY<{field.field_type}>" if field.mode == "REPEATED" else field.field_type
                said = f"OPTIONS (description = {quoted(field.description)})"
                sql = f"ALTER TABLE `{self.address(table.name)}` ADD COLUMN IF NOT EXISTS `{name}` {kind} {said}"
                self._jobs.define(f"adding the column {name} to {table.name}", sql)
                continue
            expected, seen = (field.field_type, field.mode), (there[name].field_type, there[name].mode)
            if _standard(*expected) != _standard(*seen):
                raise WarehouseError(
                    f"{where}: column {name} is {' '.join(seen)}, expected {' '.join(expected)}.",
                    hint,
                    final=True,
                )

    def _held(self, table: contracts.Table, batch_ids: Sequence[str]) -> dict[str, int]:
        """Rows a batch that the table holds."""
        if not batch_ids:
            return {}
        sql = f"SELECT batch_id, COUNT(*) AS found FROM `{self.address(table.name)}` WHERE batch_id IN UNNEST(@wanted) GROUP BY batch_id"
        paid = self._jobs.query(
            Statement(f"looking for batches in {table.name}", sql, {"wanted": list(batch_ids)})
        )
        return {row["batch_id"]: row["found"] for row in self._jobs.rows(paid)}

    def _load(
        self,
        job_id: str,
        file: IO[bytes],
        name: str,
        columns: Sequence[bigquery.SchemaField],
        disposition: str = bigquery.WriteDisposition.WRITE_APPEND,
    ) -> LoadJob:
        options = bigquery.ParquetOptions()
        options.enable_list_inference = True  # a Parquet list is an array, not a record
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=columns,
            write_disposition=disposition,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            parquet_options=options,
            labels=self._jobs.labels(),
        )
        with google.told(self._jobs.settings, f"loading into {self.address(name)}"):
            try:
                return self._client.load_table_from_file(
                    file,
                    self.address(name),
                    rewind=True,
                    job_id=job_id,
                    job_config=config,
                    timeout=google.REQUEST,
                )
            except exceptions.Conflict:
                return self._jobs.taken(job_id)


def quoted(text: str) -> str:
    """A string of GoogleSQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _standard(kind: str, mode: str) -> tuple[str, str]:
    legacy = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
    return legacy.get(kind, kind), mode or "NULLABLE"


def _groups(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """The batches in order, so many at a time as ROWS_A_JOB and DAYS_A_JOB allow."""
    group: list[Batch] = []
    rows = 0
    for batch in batches:
        if group and (rows + batch.rows > ROWS_A_JOB or len(group) == DAYS_A_JOB):
            yield group
            group, rows = [], 0
        group.append(batch)
        rows += batch.rows
    if group:
        yield group


def _write(target: IO[bytes], table: contracts.Table, batches: Sequence[Batch]) -> None:
    """One Parquet file of the batches' rows, each with its day and batch; a file at a time in memory."""
    with pq.ParquetWriter(target, _arrow(table)) as writer:
        for batch in batches:
            for path in batch.files:
                rows = table.conform(table.extended(read_parquet(path)))
                for name in table.in_warehouse.names[len(table.schema) :]:
                    value: object = batch.batch_id if name == "batch_id" else batch.day
                    rows = rows.append_column(
                        name, pa.array([value] * len(rows), table.in_warehouse.field(name).type)
                    )
                writer.write_table(_cast(rows, table))


def _arrow(table: contracts.Table) -> pa.Schema:
    """The columns as BigQuery reads them from Parquet: it has no half precision."""
    half, double = pa.list_(pa.float16()), pa.list_(pa.float64())
    return pa.schema(
        [field.with_type(double) if field.type == half else field for field in table.in_warehouse]
    )


def _cast(rows: pa.Table, table: contracts.Table) -> pa.Table:
    return rows.cast(_arrow(table))
