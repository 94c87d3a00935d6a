"""Describes the columns of the views and table functions in `sql/`, for the warehouse and for docs/data.md.

A column that a view takes from a table, under the same name, is described by the table's contract. Every
other column has a line in the comment at the top of its statement:

    -- Column suggested: whether the probability is at least the release's min_probability

The description ends at an empty comment line, or where the next column begins. If the description is
only `see VIEW`, it is copied from the column with the same name in the view VIEW.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
from sqlglot import exp

from pipeline import contracts
from pipeline.errors import UsageError
from pipeline.warehouse.query import Query
from pipeline.warehouse.sql_parser import parse

_COLUMN = re.compile(r"^-- Column (\w+): (.+)$")
_OF_VIEW = re.compile(r"see (\w+)")


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view or a table function.

    `prose` is the column's description. If the view takes the column from a table, `kind` is the column's
    type in that table. `kind` is None for a computed or renamed column.
    """

    prose: str
    kind: pa.DataType | None


def columns_of(query: Query) -> dict[str, ViewColumn]:
    """Returns the columns of a view or a table function by name, in order.

    Raises UsageError if a column is described neither by a contract nor by the statement's comment, or if the
    comment describes a column that the statement does not have.
    """
    return _columns_of(query.name, query.sql)


@lru_cache(maxsize=32)
def _columns_of(query_name: str, sql: str) -> dict[str, ViewColumn]:
    own_prose = _own_prose(sql)
    columns = {}
    tree = parse(sql)
    for name in _selects(tree):
        field = _source(tree, name)
        prose = own_prose.pop(name, None) or (field.metadata[b"description"].decode() if field else None)
        if prose is None:
            raise UsageError(
                f"sql/{query_name}.sql: the column {name} has no description.",
                f"Add a line to the comment at the top of the file:  -- Column {name}: ...",
            )
        if reference := _OF_VIEW.fullmatch(prose):
            prose = columns_of(Query.from_file(f"views/{reference[1]}"))[name].prose
        columns[name] = ViewColumn(prose, field.type if field else None)
    if own_prose:
        raise UsageError(
            f"sql/{query_name}.sql: the comment describes columns that the statement does not have: "
            f"{', '.join(own_prose)}.",
            f"The statement has the columns {', '.join(columns)}.",
        )
    return columns


def _own_prose(sql: str) -> dict[str, str]:
    """Returns the descriptions in the comment at the top of a statement, by column."""
    columns: dict[str, str] = {}
    name = ""
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        text = line.removeprefix("--").strip()
        if start := _COLUMN.match(line):
            name, columns[start[1]] = start[1], start[2].strip()
        elif not text:
            name = ""
        elif name:
            columns[name] += f" {text}"
    return {name: prose.rstrip(".") for name, prose in columns.items()}


def _source(query: exp.Expr, name: str) -> pa.Field | None:
    """If a SELECT takes its column `name` from a table, unchanged and under the same name, returns the
    table's column. Returns None if the SELECT computes or renames the column. If the query is a UNION,
    examines only its first SELECT."""
    select = query
    while isinstance(select, exp.SetOperation):
        select = select.this
    column = _selects(select)[name].unalias()
    if not isinstance(column, exp.Column) or column.name != name:
        return None
    tables = [select.args["from_"].this, *(join.this for join in select.args.get("joins") or ())]
    table = next(each for each in tables if column.table in ("", each.alias_or_name))
    root = query.root()
    if cte := next((cte for cte in root.find_all(exp.CTE) if cte.alias == table.name), None):
        return _source(cte.this, name)
    schema = contracts.TABLES[table.name].warehouse_schema
    return schema.field(name)


def _selects(query: exp.Expr) -> dict[str, exp.Expr]:
    """Maps the name of each column of a SELECT to its expression. If the query is a UNION, uses its first
    SELECT."""
    assert isinstance(query, exp.Query)  # `parse` refuses anything else
    return {expression.alias_or_name: expression for expression in query.selects}
