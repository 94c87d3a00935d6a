"""The contract of a table: columns, key, partition, and where the table is stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pyarrow as pa

from pipeline.errors import ContractError

TIMESTAMP = pa.timestamp("us", tz="UTC")
Place = Literal["lake", "warehouse"]


@dataclass(frozen=True)
class Table:
    """The contract of a table.

    `prose` describes a row. `partition` has the names of the dimensions that split the table, such as `day`.
    The values of the columns in `key` are unique within a partition. `lives_in` says where the table is
    stored.

    In a warehouse, a partitioned table also has the column `batch_id`. If it is partitioned by day and the
    contract has no column `day`, it also has `source_day`. If `with_warehouse_columns` is true, the
    table's files in the lake have these columns, too, so that BigQuery can load the files as they are.

    A row group of the table's Parquet files has at most `rows_per_row_group` rows. To read one row, a program
    must read its whole row group.
    """

    name: str
    prose: str
    schema: pa.Schema
    key: tuple[str, ...]
    partition: tuple[str, ...]
    lives_in: tuple[Place, ...]
    with_warehouse_columns: bool = False
    rows_per_row_group: int = 50_000

    def conform(self, table: pa.Table) -> pa.Table:
        """Returns the rows of `table` with the contract's columns, in the contract's order and types.

        Raises ContractError for a missing or unexpected column, for values that cannot be cast without loss,
        and for a NULL in a NOT NULL column. The message names the table and the column.
        """
        unexpected = [name for name in table.column_names if name not in self.schema.names]
        if unexpected:
            raise ContractError(
                f"{self.name}: the data has a column {unexpected[0]!r}, which is not in the table's "
                f"contract. The contract has the columns {', '.join(self.schema.names)}."
            )
        columns = []
        for field in self.schema:
            if field.name not in table.column_names:
                raise ContractError(
                    f"{self.name}: the data lacks the column {field.name!r} ({field.type}) of the table's "
                    f"contract. The data has the columns {', '.join(table.column_names)}."
                )
            column = table.column(field.name)
            if column.type != field.type:
                try:
                    column = column.cast(field.type)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise ContractError(
                        f"{self.name}: column {field.name!r} has the type {column.type}, expected "
                        f"{field.type}, and its values cannot be cast: {error}"
                    ) from None
            if not field.nullable and column.null_count:
                raise ContractError(
                    f"{self.name}: column {field.name!r} ({field.type}) is NULL in {column.null_count} of "
                    f"{len(column)} rows, but the table's contract does not allow NULL."
                )
            columns.append(column)
        return pa.table(columns, schema=self.schema)

    def add_missing_columns(self, table: pa.Table) -> pa.Table:
        """Adds the nullable columns that `table` lacks, with NULL in every row. Returns the new table.

        A table lacks columns if an earlier version of Titler wrote it, before the contract had these columns.
        """
        for field in self.schema:
            if field.nullable and field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        return table

    @property
    def day_column(self) -> str | None:
        """The name of the column with a row's source day, or None if the table is not partitioned by day."""
        if "day" not in self.partition:
            return None
        return "day" if "day" in self.schema.names else "source_day"

    @property
    def warehouse_schema(self) -> pa.Schema:
        """The table's columns in a warehouse. They include `batch_id` if the table is partitioned, and a day
        column if it is partitioned by day."""
        fields = list(self.schema)
        if self.day_column and self.day_column not in self.schema.names:
            fields.append(column(self.day_column, pa.date32(), "source day (UTC) that the row comes from"))
        if self.partition:
            fields.append(
                column("batch_id", pa.string(), "id of the lake's batch that the row was loaded from")
            )
        return pa.schema(fields)

    @property
    def file_columns(self) -> str:
        """8 hexadecimal digits that identify the columns of the table's files in the lake. They are computed
        from the names and types of the columns."""
        schema = self.warehouse_schema if self.with_warehouse_columns else self.schema
        names = [f"{field.name} {field.type}" for field in schema]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]

    def add_warehouse_columns(self, rows: pa.Table, day: date, batch_id: str) -> pa.Table:
        """Returns the rows of one batch with the further columns of a warehouse: the batch id, and the source
        day unless the contract has it."""
        for field in list(self.warehouse_schema)[len(self.schema) :]:
            value: object = batch_id if field.name == "batch_id" else day
            rows = rows.append_column(field, pa.array([value] * len(rows), field.type))
        return rows

    def empty(self) -> pa.Table:
        """Returns a table with the contract's columns and no rows."""
        return self.schema.empty_table()


def column(name: str, kind: pa.DataType, prose: str, *, null: bool = False) -> pa.Field:
    """Returns a column of type `kind`, described by `prose`. It is NOT NULL unless `null` is true."""
    return pa.field(name, kind, nullable=null, metadata={"description": prose})


ISSUE_ID = column("issue_id", pa.int64(), "GitHub's id of the issue, unique among all issues")
SOURCE = column(
    "source",
    pa.string(),
    "address of the hour files or name of their folder, or table in BigQuery, that the event was read from; "
    "NULL if an earlier version extracted the day",
    null=True,
)
