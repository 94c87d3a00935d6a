"""GoogleSQL's own analyser and reference evaluator, from PyPI's `zetasql`, over a catalogue of what `sql/`
reads.

The package is Google's own C++ as WebAssembly, which takes half a minute to compile the first time.
"""

from __future__ import annotations

import ctypes
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import wasmtime
from filelock import FileLock
from zetasql.core import wasm_client
from zetasql.core.exceptions import ServerError
from zetasql.core.wasm_client import WasmClient
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2, simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public import function_pb2 as enums
from zetasql.wasi._pb2.zetasql.public import options_pb2 as modes
from zetasql.wasi._pb2.zetasql.public import type_pb2

from pipeline import contracts
from pipeline.warehouse import SQL

Row = dict[str, Any]
Tables = Mapping[str, Sequence[Row]]  # table name -> its rows; a table that is not named is empty
Columns = dict[str, str]  # a query's columns: name -> GoogleSQL's type

EVENTS = "githubarchive.day.20*"
SUFFIX = "_TABLE_SUFFIX"
_ACCOUNT_FIELDS = [
    ("id", pa.int64()),
    ("login", pa.string()),
    ("gravatar_id", pa.string()),
    ("avatar_url", pa.string()),
    ("url", pa.string()),
]
EVENTS_SCHEMA = pa.schema(
    [
        ("type", pa.string()),
        ("public", pa.bool_()),
        ("payload", pa.string()),
        ("repo", pa.struct([("id", pa.int64()), ("name", pa.string()), ("url", pa.string())])),
        ("actor", pa.struct(_ACCOUNT_FIELDS)),
        ("org", pa.struct(_ACCOUNT_FIELDS)),
        ("created_at", contracts.TIMESTAMP),
        ("id", pa.string()),
        ("other", pa.string()),
        (SUFFIX, pa.string()),
    ]
)
PARAMETERS: dict[str, pa.DataType] = {
    "first_suffix": pa.string(),
    "last_suffix": pa.string(),
    "min_body_words": pa.int64(),
    "min_title_words": pa.int64(),
    "max_title_characters": pa.int64(),
    "max_body_characters": pa.int64(),
    "word": pa.string(),
    "release": pa.string(),
    "before": pa.string(),
    "after": pa.string(),
    "days": pa.list_(pa.date32()),
    "first_day": pa.date32(),
    "batches": pa.list_(pa.string()),
    "day": pa.date32(),
    "run": pa.string(),
    "repo": pa.string(),
    "issue_url": pa.string(),
}

_KINDS: dict[pa.DataType, int] = {
    pa.int64(): type_pb2.TYPE_INT64,
    pa.int32(): type_pb2.TYPE_INT64,  # BigQuery has no other integer
    pa.float64(): type_pb2.TYPE_DOUBLE,
    pa.float16(): type_pb2.TYPE_DOUBLE,  # BigQuery has no other float
    pa.string(): type_pb2.TYPE_STRING,
    pa.bool_(): type_pb2.TYPE_BOOL,
    pa.date32(): type_pb2.TYPE_DATE,
    contracts.TIMESTAMP: type_pb2.TYPE_TIMESTAMP,
}
_NAMES = {
    type_pb2.TYPE_INT64: "INT64",
    type_pb2.TYPE_DOUBLE: "FLOAT64",
    type_pb2.TYPE_STRING: "STRING",
    type_pb2.TYPE_BOOL: "BOOL",
    type_pb2.TYPE_DATE: "DATE",
    type_pb2.TYPE_TIMESTAMP: "TIMESTAMP",
    type_pb2.TYPE_JSON: "JSON",
}
_FIELDS = {  # of a ValueProto
    type_pb2.TYPE_INT64: "int64_value",
    type_pb2.TYPE_DOUBLE: "double_value",
    type_pb2.TYPE_STRING: "string_value",
    type_pb2.TYPE_BOOL: "bool_value",
    type_pb2.TYPE_JSON: "json_value",
}
_EPOCH = date(1970, 1, 1)


class WrongSQLError(Exception):
    """GoogleSQL rejects a statement."""


def warehouse_schemas() -> dict[str, pa.Schema]:
    """The tables of the warehouse."""
    return {
        table.name: table.warehouse_schema
        for table in contracts.TABLES.values()
        if "warehouse" in table.lives_in
    }


def statements(folder: str) -> dict[str, str]:
    """The statements of `sql/FOLDER`, by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((SQL / folder).glob("*.sql"))}


def types(schema: pa.Schema) -> Columns:
    """A schema's columns with GoogleSQL's types."""
    return {field.name: _name(_type(field.type)) for field in schema}


def parameters(sql: str) -> list[str]:
    """The names of a statement's parameters, in the order of their first use."""
    return list(dict.fromkeys(re.findall(r"@(\w+)", re.sub(r"--.*", "", sql))))


class GoogleSQL:
    """GoogleSQL with a catalogue: `tables` by name, and SELECTs by name for `views` and `functions`.

    A view may read other views. The arguments of a function are the parameters of its SELECT.
    """

    def __init__(
        self, tables: Mapping[str, pa.Schema], views: Mapping[str, str], functions: Mapping[str, str]
    ) -> None:
        self._client = _client()
        features = service.LanguageOptionsRequest(maximum_features=True)
        self._language = self._call("GetLanguageOptions", features, options_pb2.LanguageOptionsProto)
        self._language.product_mode = modes.PRODUCT_EXTERNAL
        self._catalog = simple_catalog_pb2.SimpleCatalogProto()
        self._catalog.builtin_function_options.language_options.CopyFrom(self._language)
        for name, schema in tables.items():
            self._add_table(name, {field.name: _type(field.type) for field in schema})
        self._add_views(views)
        for name, sql in functions.items():
            self._add_function(name, sql)

    @classmethod
    def of_titler(cls) -> GoogleSQL:
        """With GH Archive's events, the tables of the warehouse, and the views and functions of `sql/`."""
        return cls(
            {EVENTS: EVENTS_SCHEMA, **warehouse_schemas()}, statements("views"), statements("functions")
        )

    def analyse(self, sql: str) -> Columns:
        """The columns of a statement's result.

        Raises WrongSQLError, and KeyError if a parameter is not in PARAMETERS.
        """
        return {name: _name(kind) for name, kind in self._columns(sql).items()}

    def origins(self, sql: str) -> dict[str, tuple[str, str]]:
        """The table and the column that each column of a statement's result comes from, unchanged.

        For a computed column, they name the expression.
        """
        columns = self._statement(sql).output_column_list
        return {column.name: (column.column.table_name, column.column.name) for column in columns}

    def scans(self, sql: str) -> set[str]:
        """The kinds of scans in a statement: table, join, filter, analytic (a window function) and so on."""
        return set(re.findall(r"resolved_(\w+)_scan_node", str(self._statement(sql))))

    def evaluate(self, sql: str, tables: Tables, values: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a statement that reads `tables` (or views). Raises WrongSQLError as `analyse`."""
        request = service.EvaluateQueryRequest(
            sql=sql, simple_catalog=self._catalog, options=self._options(sql)
        )
        for table in self._catalog.table:
            content = request.table_content[table.name].table_data
            content.SetInParent()
            for row in tables.get(table.name, ()):
                cells = content.row.add().cell
                for column in table.column:
                    _encode(row[column.name], column.type, cells.add())
        for name in parameters(sql):
            _encode((values or {})[name], _type(PARAMETERS[name]), request.params.add(name=name).value)
        response = self._call("EvaluateQuery", request, service.EvaluateQueryResponse)
        columns = response.prepared.columns
        return [
            {column.name: _decode(cell, column.type) for column, cell in zip(columns, row.cell, strict=True)}
            for row in response.content.table_data.row
        ]

    def _call(self, method: str, request: Any, response: Any) -> Any:
        try:
            return self._client.call_grpc_func(f"ZetaSqlLocalService_{method}", request, response)
        except ServerError as error:
            raise WrongSQLError(str(error)) from None

    def _options(self, sql: str) -> Any:
        options = options_pb2.AnalyzerOptionsProto(language_options=self._language, default_timezone="UTC")
        for name in parameters(sql):
            options.query_parameters.add(name=name, type=_type(PARAMETERS[name]))
        return options

    def _columns(self, sql: str) -> dict[str, Any]:
        return {column.name: column.column.type for column in self._statement(sql).output_column_list}

    def _statement(self, sql: str) -> Any:
        request = service.AnalyzeRequest(
            sql_statement=sql, simple_catalog=self._catalog, options=self._options(sql)
        )
        response = self._call("Analyze", request, service.AnalyzeResponse)
        return response.resolved_statement.resolved_query_stmt_node

    def _add_table(self, name: str, columns: Mapping[str, Any]) -> None:
        table = self._catalog.table.add(name=name)
        for column, kind in columns.items():
            table.column.add(name=column, type=kind, is_pseudo_column=column == SUFFIX)

    def _add_views(self, views: Mapping[str, str]) -> None:
        errors: dict[str, WrongSQLError] = {}
        for name, sql in views.items():
            try:
                self._add_table(name, self._columns(sql))
            except WrongSQLError as error:
                errors[name] = error
        if len(errors) == len(views) > 0:  # no view was added, so none failed because it reads another
            raise next(iter(errors.values()))
        if errors:
            self._add_views({name: views[name] for name in errors})

    def _add_function(self, name: str, sql: str) -> None:
        columns = self._columns(sql)
        function = self._catalog.custom_tvf.add(
            name_path=[name], type=enums.FunctionEnums.FIXED_OUTPUT_SCHEMA_TVF
        )
        for parameter in parameters(sql):
            argument = function.signature.argument.add(
                kind=enums.ARG_TYPE_FIXED, type=_type(PARAMETERS[parameter]), num_occurrences=1
            )
            argument.options.argument_name = parameter
        function.signature.return_type.kind = enums.ARG_TYPE_RELATION
        for column, kind in columns.items():
            function.signature.return_type.options.relation_input_schema.column.add(name=column, type=kind)


def _client() -> WasmClient:
    """The package's client, compiled once per machine (Wasmtime's cache), also if several test processes
    start at once.

    It copies memory in one call instead of byte by byte.
    """

    class Config(wasmtime.Config):
        def __init__(self) -> None:
            super().__init__()
            self.cache = True

    wasm_client.Config = Config
    with FileLock(Path(tempfile.gettempdir(), "titler-zetasql.lock")):  # others wait for the cache
        client = WasmClient(str(get_wasm_path()))

    def address(pointer: int) -> int:
        return ctypes.addressof(client.memory.data_ptr().contents) + pointer

    client.write_bytes = lambda pointer, data: ctypes.memmove(address(pointer), data, len(data))
    client.read_bytes = lambda pointer, size: ctypes.string_at(address(pointer), size)
    return client


def _type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        element = type_pb2.ArrayTypeProto(element_type=_type(kind.value_type))
        return type_pb2.TypeProto(type_kind=type_pb2.TYPE_ARRAY, array_type=element)
    if pa.types.is_struct(kind):
        fields = [
            type_pb2.StructFieldProto(field_name=field.name, field_type=_type(field.type)) for field in kind
        ]
        return type_pb2.TypeProto(
            type_kind=type_pb2.TYPE_STRUCT, struct_type=type_pb2.StructTypeProto(field=fields)
        )
    return type_pb2.TypeProto(type_kind=_KINDS[kind])


def _name(kind: Any) -> str:
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return f"ARRAY<{_name(kind.array_type.element_type)}>"
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        fields = (f"{field.field_name} {_name(field.field_type)}" for field in kind.struct_type.field)
        return f"STRUCT<{', '.join(fields)}>"
    return _NAMES[kind.type_kind]


def _encode(value: Any, kind: Any, cell: Any) -> None:
    """Sets `cell`, a ValueProto. A cell that is not set is NULL."""
    if value is None:
        return
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        cell.array_value.SetInParent()
        for element in value:
            _encode(element, kind.array_type.element_type, cell.array_value.element.add())
    elif kind.type_kind == type_pb2.TYPE_STRUCT:
        for field in kind.struct_type.field:
            _encode(value.get(field.field_name), field.field_type, cell.struct_value.field.add())
    elif kind.type_kind == type_pb2.TYPE_TIMESTAMP:
        cell.timestamp_value.FromDatetime(value)
    elif kind.type_kind == type_pb2.TYPE_DATE:
        cell.date_value = (value - _EPOCH).days
    else:
        setattr(cell, _FIELDS[kind.type_kind], value)


def _decode(cell: Any, kind: Any) -> Any:
    if cell.WhichOneof("value") is None:
        return None
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return [_decode(element, kind.array_type.element_type) for element in cell.array_value.element]
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        fields = zip(kind.struct_type.field, cell.struct_value.field, strict=True)
        return {field.field_name: _decode(element, field.field_type) for field, element in fields}
    if kind.type_kind == type_pb2.TYPE_TIMESTAMP:
        return cell.timestamp_value.ToDatetime(UTC)
    if kind.type_kind == type_pb2.TYPE_DATE:
        return _EPOCH + timedelta(cell.date_value)
    return getattr(cell, _FIELDS[kind.type_kind])
