"""Reads one SELECT in BigQuery's dialect with sqlglot: its parameters, and the tables that it names."""

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
    """The body of a table function in BigQuery's dialect, and the names of its arguments, each a STRING."""

    arguments: tuple[str, ...]
    sql: str


def parse(sql: str) -> exp.Expr:
    """The syntax tree of one SELECT. Raises UsageError if the text is anything else."""
    try:
        statements = sqlglot.parse(sql, read="bigquery")
    except SqlglotError as error:
        raise UsageError(f"Not SQL of BigQuery's dialect: {error}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise UsageError(f"Expected one SELECT; found {len(statements)} statements:\n{sql}")
    return statements[0]


def parameters_of(sql: str) -> frozenset[str]:
    """The names of the `@` parameters of one SELECT. Raises UsageError if the text is anything else."""
    return frozenset(parameter.name for parameter in parse(sql).find_all(exp.Parameter))


def replace_tables(sql: str, replacements: Mapping[str, str]) -> str:
    """The same text with tables and table functions replaced, by name: with an address, or with a SELECT in
    brackets.

    The rest of the text, comments included, stays as it is. Names that the statement defines itself (WITH)
    are not replaced.
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
    """A SELECT as a table function. Its parameters become arguments, in the order of their first use."""
    tree = parse(sql)
    tokens = sqlglot.tokenize(sql, read="bigquery")
    names = [name.text for at, name in pairwise(tokens) if at.token_type == sqlglot.TokenType.PARAMETER]
    for parameter in list(tree.find_all(exp.Parameter)):
        parameter.replace(exp.column(parameter.name))
    return TableFunction(tuple(dict.fromkeys(names)), tree.sql(dialect="bigquery", comments=False))
