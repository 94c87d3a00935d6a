"""Three engines run `sql/`: DuckDB, with our translation, GoogleSQL's evaluator, and BigQuery's emulator."""

from __future__ import annotations

import io
import itertools
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from pipeline import contracts
from pipeline.warehouse import Query, SourceFile, table_suffix
from pipeline.warehouse.column_types import in_bigquery
from pipeline.warehouse.duckdb import DuckDBWarehouse, StagedFile
from pipeline.warehouse.duckdb.differences_from_bigquery import scan_condition, translate
from pipeline.warehouse.duckdb.hour_reader import HourReader
from tests.sql.googlesql import (
    EVENTS,
    EVENTS_SCHEMA,
    PARAMETERS,
    SUFFIX,
    GoogleSQL,
    Row,
    Tables,
    parameters,
    warehouse_schemas,
)
from tests.support import emulator
from tests.warehouse.events import DAY, EXTRACT, Lake, opened, write_hour

Events = Sequence[dict[str, Any] | bytes]  # well-formed lines of an hour file
OTHER_DAYS = (
    date(2014, 12, 31),
    date(2016, 1, 1),
)  # GH Archive's tables have an issue of these days, which no engine may return
# only one data set: the emulator resolves a bare name to the first data set with such a table
DATA_SET = f"{emulator.PROJECT}.titler"
BOUNDS = {"first_suffix": table_suffix(DAY), "last_suffix": table_suffix(DAY)}


class Engine(Protocol):
    """Rows have Python's values. A float that is not a number becomes "NaN", so that rows can be compared."""

    name: str

    def issues(self, events: Events, query: Query = EXTRACT) -> list[Row]:
        """The result of an extraction from events of DAY."""
        ...

    def malformed(self, events: Events) -> list[Row]:
        """The result of sql/extract_malformed.sql, sorted by event_id: event_id, reason, text."""
        ...

    def comments(self, events: Events) -> list[Row]:
        """The result of sql/extract_duplicate_marks.sql."""
        ...

    def scan(self, sql: str, events: Events, **values: Any) -> list[Row]:
        """The rows of a statement that reads the events of DAY as `githubarchive.day.20*`."""
        ...

    def rows(self, sql: str, tables: Tables, **values: Any) -> list[Row]:
        """The rows of a statement on the warehouse's tables, in no order."""
        ...


class DuckDB:
    """The embedded warehouse: events come from hour files, tables are the batches of a staged release."""

    name = "duckdb"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._tables: Tables | None = None
        self._staged: StagedFile

    def issues(self, events: Events, query: Query = EXTRACT) -> list[Row]:
        table = DuckDBWarehouse("nowhere").extract(query, DAY, self._hour(events)).issues.read_all()
        assert table.schema == contracts.EXTRACTED_ISSUES.schema
        return list(table.to_pylist())

    def malformed(self, events: Events) -> list[Row]:
        table = DuckDBWarehouse("nowhere").extract(EXTRACT, DAY, self._hour(events)).malformed
        ids = [event_row(event)["id"] for event in events]
        rows = [
            {"event_id": ids[row["line"] - 1], "reason": row["reason"], "text": row["text"]}
            for row in table.to_pylist()
        ]
        return sorted(rows, key=lambda row: str(row["event_id"]))

    def comments(self, events: Events) -> list[Row]:
        return list(DuckDBWarehouse("nowhere").extract(EXTRACT, DAY, self._hour(events)).comments.to_pylist())

    def scan(self, sql: str, events: Events, **values: Any) -> list[Row]:
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        condition, query, translation = scan_condition(sql), Query("scan", sql, values), translate(sql)
        HourReader(connection, condition.sql, query.binding(condition.parameters), table_suffix(DAY)).read(
            [SourceFile.of(path) for path in self._hour(events)]
        )
        return _plain(
            connection.sql(translation.sql, params=query.binding(translation.parameters))
            .to_arrow_table()
            .to_pylist()
        )

    def rows(self, sql: str, tables: Tables, **values: Any) -> list[Row]:
        if tables is not self._tables:
            self._staged, self._tables = self._stage(tables), tables
        return _plain(self._staged.query(Query("case", sql, values)).to_pylist())

    def _stage(self, tables: Tables) -> StagedFile:
        folder = self._new_folder()
        lake = Lake(folder)
        for name, rows in tables.items():
            table = contracts.TABLES[name]
            days = {row["batch_id"]: row[str(table.day_column)] for row in rows} if table.partition else {}
            for batch_id in {row["batch_id"]: None for row in rows} if table.partition else ():
                batch = [
                    {name: row[name] for name in table.schema.names}
                    for row in rows
                    if row["batch_id"] == batch_id
                ]
                lake.add(table, batch_id, batch, day=days[batch_id], model=batch[0].get("model"))
        lake.members = list(tables[contracts.RELEASE_MEMBERS.name])
        lake.superseded = list(tables.get(contracts.SUPERSEDED_OPENINGS.name, ()))
        return DuckDBWarehouse(str(folder / "w.duckdb")).stage(
            *lake.release(*tables[contracts.RELEASES.name])
        )

    def _hour(self, events: Events) -> list[Path]:
        return write_hour(self._new_folder(), *events)

    def _new_folder(self) -> Path:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return folder


class _OnEventTable(ABC):
    """An engine that reads the events from GH Archive's table, with the statements as they are."""

    @abstractmethod
    def _scan(self, sql: str, events: Events, values: Mapping[str, Any]) -> list[Row]: ...

    def issues(self, events: Events, query: Query = EXTRACT) -> list[Row]:
        return self._scan(query.sql, events, {**query.parameters, **BOUNDS})

    def malformed(self, events: Events) -> list[Row]:
        return sorted(
            self._scan(Query.from_file("extract_malformed").sql, events, BOUNDS),
            key=lambda row: str(row["event_id"]),
        )

    def comments(self, events: Events) -> list[Row]:
        return self._scan(Query.from_file("extract_duplicate_marks").sql, events, BOUNDS)

    def scan(self, sql: str, events: Events, **values: Any) -> list[Row]:
        return self._scan(sql, events, values)


class Evaluator(_OnEventTable):
    """GoogleSQL's reference evaluator."""

    name = "googlesql"

    def __init__(self, googlesql: GoogleSQL) -> None:
        self._googlesql = googlesql

    def rows(self, sql: str, tables: Tables, **values: Any) -> list[Row]:
        return _plain(self._googlesql.evaluate(sql, tables, values))

    def _scan(self, sql: str, events: Events, values: Mapping[str, Any]) -> list[Row]:
        rows = [{**event_row(event), SUFFIX: table_suffix(DAY)} for event in events]
        rows += [
            {**event_row(opened(title="of another day")), SUFFIX: table_suffix(day)} for day in OTHER_DAYS
        ]
        return _plain(self._googlesql.evaluate(sql, {EVENTS: rows}, values))


class Emulator(_OnEventTable):
    """BigQuery's emulator, through Google's client."""

    name = "emulator"

    def __init__(self, endpoint: str) -> None:
        options = ClientOptions(api_endpoint=endpoint)
        self._source, self._warehouse = (
            bigquery.Client(project=project, credentials=AnonymousCredentials(), client_options=options)
            for project in (emulator.SOURCE_PROJECT, emulator.PROJECT)
        )
        self._events: Events | None = None
        self._tables: Tables | None = None

    def rows(self, sql: str, tables: Tables, **values: Any) -> list[Row]:
        if tables is not self._tables:
            self._warehouse.create_dataset(DATA_SET, exists_ok=True)
            for name, schema in warehouse_schemas().items():
                self._load(self._warehouse, f"{DATA_SET}.{name}", schema, tables.get(name, ()))
            self._tables = tables
        return self._query(self._warehouse, sql, values, default_dataset=DATA_SET)

    def _scan(self, sql: str, events: Events, values: Mapping[str, Any]) -> list[Row]:
        if events is not self._events:
            self._load_day(DAY, events)
            if self._events is None:
                for day in OTHER_DAYS:
                    self._load_day(day, [opened(title="of another day")])
            self._events = events
        return self._query(self._source, sql, values)

    def _load_day(self, day: date, events: Events) -> None:
        schema = pa.schema([field for field in EVENTS_SCHEMA if field.name != SUFFIX])
        self._load(
            self._source,
            f"{emulator.SOURCE_PROJECT}.day.{day:%Y%m%d}",
            schema,
            [event_row(event) for event in events],
        )

    def _load(self, client: bigquery.Client, table: str, schema: pa.Schema, rows: Sequence[Row]) -> None:
        fields = [_field(field) for field in schema]
        if not rows:
            client.delete_table(table, not_found_ok=True)
            client.create_table(bigquery.Table(table, schema=fields))
            return
        config = bigquery.LoadJobConfig(
            schema=fields, source_format="NEWLINE_DELIMITED_JSON", write_disposition="WRITE_TRUNCATE"
        )
        data = "\n".join(json.dumps(row, default=_json) for row in _plain(rows)).encode()
        client.load_table_from_file(io.BytesIO(data), table, job_config=config).result()

    def _query(
        self, client: bigquery.Client, sql: str, values: Mapping[str, Any], **options: Any
    ) -> list[Row]:
        rows = [_parameter(name, PARAMETERS[name], values[name]) for name in parameters(sql)]
        job = client.query(
            sql, job_config=bigquery.QueryJobConfig(query_parameters=rows, **options), job_retry=None
        )
        return _plain([dict(row) for row in job.result()])


def event_row(event: dict[str, Any] | bytes) -> Row:
    """An event as a row of GH Archive's table in BigQuery. `payload` has the text of the hour file."""
    line = event.decode() if isinstance(event, bytes) else json.dumps(event)
    values = json.loads(line)
    start = line.index('"payload":') + len('"payload":')
    start += len(line[start:]) - len(line[start:].lstrip())
    _, end = json.JSONDecoder().raw_decode(line, start)
    row = {name: values.get(name) for name in EVENTS_SCHEMA.names if name != SUFFIX}
    created_at = (
        datetime.fromisoformat(values["created_at"]).astimezone(UTC) if values.get("created_at") else None
    )
    event_id = None if values.get("id") is None else str(values["id"])
    return {**row, "payload": line[start:end], "created_at": created_at, "id": event_id}


def _plain(rows: Sequence[Row]) -> list[Row]:
    return [
        {
            name: "NaN" if isinstance(value, float) and math.isnan(value) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _parameter(
    name: str, kind: pa.DataType, value: Any
) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if pa.types.is_list(kind):
        return bigquery.ArrayQueryParameter(name, in_bigquery(kind.value_type), value)
    return bigquery.ScalarQueryParameter(name, in_bigquery(kind), value)


def _json(value: Any) -> str:
    if isinstance(value, date):  # or a datetime
        return value.isoformat()
    raise TypeError(f"{value!r} in a row")


def _field(field: pa.Field) -> bigquery.SchemaField:
    kind = field.type
    if pa.types.is_list(kind):
        return bigquery.SchemaField(field.name, in_bigquery(kind.value_type), "REPEATED")
    if pa.types.is_struct(kind):
        return bigquery.SchemaField(field.name, "RECORD", fields=[_field(inner) for inner in kind])
    return bigquery.SchemaField(field.name, in_bigquery(kind))
