"""Parses one SELECT in BigQuery's dialect with sqlglot, to find its parameters and to replace its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pipeline.errors import UsageError


@dataclass(frozen=True)
class TableFunction:
    """A table function: its body in BigQuery's dialect, and the names of its arguments. All arguments have
    the type STRING."""

    arguments: tuple[str, ...]
    sql: str


def parse(sql: str) -> exp.Expr:
    """Returns the syntax tree of a SELECT. Raises UsageError if `sql` is not one SELECT."""
    try:
        statements = sqlglot.parse(sql, read="bigquery")
    except SqlglotError as error:
        raise UsageError(f"The statement is not SQL in BigQuery's dialect: {error}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise UsageError(
            "The SQL must be exactly one statement, and this statement must be a SELECT. Number of "
            f"statements: {len(statements)}. The SQL:\n{sql}"
        )
    return statements[0]


def parameters_of(sql: str) -> frozenset[str]:
    """Returns the names of the `@` parameters of a SELECT. Raises UsageError if `sql` is not one SELECT."""
    return frozenset(parameter.name for parameter in parse(sql).find_all(exp.Parameter))


def replace_tables(sql: str, replacements: Mapping[str, str]) -> str:
    """Returns a SELECT in which the names of tables, views and table functions are replaced.

    `replacements` maps each name to an address in BigQuery, or to a SELECT in parentheses. Names that the
    statement defines itself with WITH are not replaced. The rest of the text does not change, not even the
    comments.
    """
    edits = []
    tree = parse(sql)
    defined_names = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not table.db and table.name in replacements and table.name not in defined_names:
            alias = "" if table.alias or isinstance(table.this, exp.Anonymous) else f" AS {table.name}"
            position = table.this.meta
            edits.append((position["start"], position["end"] + 1, f"{replacements[table.name]}{alias}"))
    for start, end, text in sorted(edits, reverse=True):
        sql = sql[:start] + text + sql[end:]
    return sql


def table_function(sql: str) -> TableFunction:
    """Turns a SELECT into a table function. Its arguments are the `@` parameters of the SELECT, in the order
    of their first use."""
    tree = parse(sql)
    tokens = sqlglot.tokenize(sql, read="bigquery")
    names = [name.text for at, name in pairwise(tokens) if at.token_type == sqlglot.TokenType.PARAMETER]
    for parameter in list(tree.find_all(exp.Parameter)):
        parameter.replace(exp.column(parameter.name))
    return TableFunction(tuple(dict.fromkeys(names)), tree.sql(dialect="bigquery", comments=False))
