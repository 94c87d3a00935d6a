"""BigQuery's SQL in DuckDB: sqlglot, and the rules that it lacks.

- A wildcard table (`githubarchive.day.20*`) is the relation `events`, whose `_TABLE_SUFFIX` is a column.
- JSON in a STRING may be malformed: BigQuery's JSON functions then give NULL, DuckDB's abort.
- JSON_QUERY and JSON_EXTRACT of a JSON null give SQL NULL, DuckDB's `->` gives the JSON null. What they give is text, DuckDB's is JSON,
  of which a cast takes the value: `"1"` would be the number 1.
- SAFE_CAST of text to INT64 takes whole numbers alone, DuckDB's rounds `7.5`.
- SAFE.PARSE_JSON gives NULL for what is not JSON.
- TRIM, LTRIM and RTRIM without characters take off Unicode white space, DuckDB's only blanks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pipeline.errors import UsageError

EVENTS = "events"
WHOLE_NUMBER = r"\s*[-+]?([0-9]+|0[xX][0-9a-fA-F]+)\s*"
WHITE_SPACE = r"[\t-\r\x{85}\p{Z}]"  # Unicode's White_Space, in RE2


@dataclass(frozen=True)
class Translation:
    """A statement in DuckDB's dialect and the names of the parameters it takes (`$name` there)."""

    sql: str
    parameters: frozenset[str]


@dataclass(frozen=True)
class TableFunction:
    """A SELECT with arguments where it had parameters, in both dialects. Each argument is a STRING."""

    arguments: tuple[str, ...]
    bigquery: str
    duckdb: str


@lru_cache(maxsize=64)  # a year of near-empty days translates the same two statements 365 times
def translate(sql: str) -> Translation:
    """One BigQuery statement as DuckDB runs it. Raises UsageError where it is not one statement of BigQuery's dialect."""
    return _render(_adapt(_parse(sql)))


@lru_cache(maxsize=64)
def scan_condition(sql: str) -> Translation:
    """What a row must meet to be read by `sql` from the wildcard table: the WHERE of the SELECT that names it.

    Raises UsageError unless exactly one SELECT does: only then may the other rows be passed over unread.
    """
    tree = _parse(sql)
    scans = [table for table in tree.find_all(exp.Table) if _is_wildcard(table)]
    if (
        len(scans) != 1
        or not isinstance(select := scans[0].find_ancestor(exp.Select), exp.Select)
        or select.args.get("joins")
    ):
        raise UsageError(f"An extraction reads one wildcard table in one SELECT; found {len(scans)}:\n{sql}")
    where = select.args.get("where")
    conjuncts = (
        list(where.this.copy().flatten())
        if where and isinstance(where.this, exp.And)
        else [where.this.copy()]
        if where
        else []
    )
    condition: exp.Expr = exp.true()
    for conjunct in reversed(
        conjuncts
    ):  # DuckDB works out both sides of an AND, but a CASE's THEN only for the rows that get there
        condition = exp.Case(ifs=[exp.If(this=_adapt(conjunct), true=condition)], default=exp.false())
    return _render(condition)


def parameters_of(sql: str) -> frozenset[str]:
    """The names of the `@` parameters of one SELECT. Raises UsageError where it is something else."""
    return frozenset(parameter.name for parameter in _parse(sql).find_all(exp.Parameter))


def renamed(sql: str, names: Mapping[str, str]) -> str:
    """The same text with the tables and table functions named in `names` called, or put, otherwise: an address or a SELECT in brackets."""
    places = []
    tree = _parse(sql)
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not table.db and table.name in names and table.name not in own:
            alias = "" if table.alias or isinstance(table.this, exp.Anonymous) else f" AS {table.name}"
            places.append(
                (table.this.meta["start"], table.this.meta["end"] + 1, f"{names[table.name]}{alias}")
            )
    for start, end, text in sorted(places, reverse=True):
        sql = sql[:start] + text + sql[end:]
    return sql


def table_function(sql: str) -> TableFunction:
    """The body of a table function whose arguments are the parameters of `sql`, in the order in which it first names them."""
    tree = _parse(sql)
    tokens = sqlglot.tokenize(sql, read="bigquery")
    named = [name.text for at, name in pairwise(tokens) if at.token_type == sqlglot.TokenType.PARAMETER]
    for parameter in list(tree.find_all(exp.Parameter)):
        parameter.replace(exp.column(parameter.name))
    bigquery = tree.sql(dialect="bigquery", comments=False)
    return TableFunction(tuple(dict.fromkeys(named)), bigquery, _render(_adapt(tree)).sql)


def _parse(sql: str) -> exp.Expr:
    try:
        statements = sqlglot.parse(sql, read="bigquery")
    except SqlglotError as error:
        raise UsageError(f"Not SQL of BigQuery's dialect: {error}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise UsageError(f"Expected one SELECT; found {len(statements)} statements:\n{sql}")
    return statements[0]


def _render(tree: exp.Expr) -> Translation:
    names = frozenset(parameter.name for parameter in tree.find_all(exp.Parameter))
    return Translation(tree.sql(dialect="duckdb", comments=False), names)


def _adapt(tree: exp.Expr) -> exp.Expr:
    root = exp.paren(tree, copy=False)  # so that every node to replace has a parent
    for node in reversed(list(tree.bfs())):  # inner calls before the outer ones that copy them
        if (adapted := _rule(node)) is not node:
            node.replace(adapted)
    return root.this


def _rule(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Table) and _is_wildcard(node):
        return exp.to_table(EVENTS, alias=node.alias or None)
    if isinstance(node, exp.SafeFunc) and isinstance(node.this, exp.ParseJSON):
        return _json(node.this.this)
    if isinstance(node, exp.JSONExtractScalar):
        node.set("this", _json(node.this))
        return node
    if isinstance(node, exp.JSONExtract):
        node.set("this", _json(node.this))
        return exp.cast(
            exp.Nullif(this=exp.paren(node.copy()), expression=exp.cast(exp.Literal.string("null"), "JSON")),
            "TEXT",
        )
    if isinstance(node, exp.TryCast) and node.to.is_type(exp.DType.BIGINT) and _is_text(node.this):
        return _whole(node)
    if isinstance(node, exp.Trim) and node.expression is None:
        return _trim(node)
    return node


def _is_wildcard(table: exp.Table) -> bool:
    return table.name.endswith("*")


def _is_text(node: exp.Expr) -> bool:
    """As far as can be seen without the columns' types."""
    return (
        isinstance(node, exp.JSONExtractScalar)
        or node.is_string
        or (isinstance(node, exp.Cast) and node.to.is_type(exp.DType.TEXT))
    )


def _whole(cast: exp.TryCast) -> exp.Expr:
    arguments = [cast.this.copy(), exp.Literal.string(WHOLE_NUMBER)]
    return exp.Case(
        ifs=[exp.If(this=exp.Anonymous(this="regexp_full_match", expressions=arguments), true=cast.copy())]
    )


def _json(text: exp.Expr) -> exp.Expr:
    return exp.TryCast(this=text.copy(), to=exp.DataType.build("JSON"))


def _trim(node: exp.Trim) -> exp.Expr:
    ends = {"LEADING": [f"^{WHITE_SPACE}+"], "TRAILING": [f"{WHITE_SPACE}+$"]}
    pattern = "|".join(ends.get(str(node.args.get("position") or ""), [*ends["LEADING"], *ends["TRAILING"]]))
    arguments = [
        node.this.copy(),
        exp.Literal.string(pattern),
        exp.Literal.string(""),
        exp.Literal.string("g"),
    ]
    return exp.Anonymous(this="regexp_replace", expressions=arguments)
