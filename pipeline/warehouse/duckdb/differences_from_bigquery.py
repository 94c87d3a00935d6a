"""Translates BigQuery's SQL to DuckDB's with sqlglot, and corrects these differences:

- A wildcard table (`githubarchive.day.20*`) becomes the relation `events`, with a column `_TABLE_SUFFIX`.
- If text is malformed JSON, BigQuery's JSON functions return NULL; those of DuckDB abort the query.
- For a JSON null, JSON_QUERY and JSON_EXTRACT return SQL NULL; DuckDB's `->` returns the JSON null.
- JSON_QUERY and JSON_EXTRACT return text; DuckDB's `->` returns JSON. DuckDB's cast of JSON to a number
  ignores the quotes of a string, so `"1"` would become 1.
- SAFE_CAST of text to INT64 accepts whole numbers only; DuckDB's cast rounds `7.5`.
- SAFE.PARSE_JSON returns NULL for text that is not JSON; DuckDB's cast aborts the query.
- TRIM, LTRIM and RTRIM with one argument remove all Unicode white space; in DuckDB, they remove spaces only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from pipeline.errors import UsageError
from pipeline.warehouse.sql_parser import parse

EVENTS = "events"
WHOLE_NUMBER = r"\s*[-+]?([0-9]+|0[xX][0-9a-fA-F]+)\s*"
WHITE_SPACE = r"[\t-\r\x{85}\p{Z}]"  # Unicode's White_Space, in the syntax of RE2


@dataclass(frozen=True)
class Translation:
    """A statement in DuckDB's dialect, and the names of its parameters. In the statement, a parameter is
    written as `$name`."""

    sql: str
    parameters: frozenset[str]


@lru_cache(maxsize=64)  # extracting a year of days translates the same two statements 365 times
def translate(sql: str) -> Translation:
    """Translates one BigQuery statement to DuckDB's dialect.

    Raises UsageError if `sql` is not one SELECT in BigQuery's dialect.
    """
    return _render(_adapt(parse(sql)))


@lru_cache(maxsize=64)
def scan_condition(sql: str) -> Translation:
    """Returns the condition that rows of the wildcard table must meet, in DuckDB's dialect.

    A wildcard table is a name such as `githubarchive.day.20*`. The condition is the WHERE clause of the
    SELECT in `sql` that reads this table, or `TRUE` if it has none. Rows that do not meet the condition
    cannot affect the result of `sql`, so they need not be stored. Raises UsageError unless `sql` reads
    exactly one wildcard table, in a SELECT without joins.
    """
    tree = parse(sql)
    scans = [table for table in tree.find_all(exp.Table) if _is_wildcard(table)]
    select = scans[0].find_ancestor(exp.Select) if len(scans) == 1 else None
    if not isinstance(select, exp.Select) or select.args.get("joins"):
        raise UsageError(
            "An extraction query must read exactly one wildcard table, in a SELECT without joins. This query "
            f"reads {len(scans)} wildcard tables:\n{sql}"
        )
    filters = select.args.get("where")
    conjuncts: list[exp.Expr] = []
    if filters:
        conjuncts = (
            list(filters.this.copy().flatten())
            if isinstance(filters.this, exp.And)
            else [filters.this.copy()]
        )
    condition: exp.Expr = exp.true()
    # DuckDB evaluates both sides of an AND for all rows, but a CASE's THEN only for the rows that reach it
    for conjunct in reversed(conjuncts):
        condition = exp.Case(ifs=[exp.If(this=_adapt(conjunct), true=condition)], default=exp.false())
    return _render(condition)


def merging_statement(sql: str, table: str) -> str:
    """Returns a statement in DuckDB's dialect that merges partial results of the SELECT in `sql`.

    The SELECT was run several times, each time on some of the rows. The table with the name `table` has the
    results of all these runs. The returned statement reads this table, and gives the result that the SELECT
    would give for all rows. To do so, it repeats the QUALIFY and the ORDER BY of the SELECT. So these two
    clauses must only use columns of the SELECT's result.
    """
    tree = parse(sql)
    merging = exp.select("*").from_(table)
    for clause in ("qualify", "order"):
        merging.set(clause, tree.args.get(clause) and tree.args[clause].copy())
    return _render(_adapt(merging)).sql


def _render(tree: exp.Expr) -> Translation:
    names = frozenset(parameter.name for parameter in tree.find_all(exp.Parameter))
    return Translation(tree.sql(dialect="duckdb", comments=False), names)


def _adapt(tree: exp.Expr) -> exp.Expr:
    """Changes the syntax tree of a BigQuery statement so that DuckDB gives the same result. Returns the
    changed tree.

    The docstring of this module lists the corrections.
    """
    root = exp.paren(tree, copy=False)  # so that every replaced node has a parent
    for node in reversed(list(tree.bfs())):  # inner calls first: the rules for outer calls copy them
        if (adapted := _adapt_node(node)) is not node:
            node.replace(adapted)
    return root.this


def _adapt_node(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Table) and _is_wildcard(node):
        return exp.to_table(EVENTS, alias=node.alias or None)
    if isinstance(node, exp.SafeFunc) and isinstance(node.this, exp.ParseJSON):
        return _json_or_null(node.this.this)
    if isinstance(node, exp.JSONExtractScalar):
        node.set("this", _json_or_null(node.this))
        return node
    if isinstance(node, exp.JSONExtract):
        node.set("this", _json_or_null(node.this))
        json_null = exp.cast(exp.Literal.string("null"), "JSON")
        return exp.cast(exp.Nullif(this=exp.paren(node.copy()), expression=json_null), "TEXT")
    if isinstance(node, exp.TryCast) and node.to.is_type(exp.DType.BIGINT) and _is_text(node.this):
        return _whole_number_or_null(node)
    if isinstance(node, exp.Trim) and node.expression is None:
        return _trim_white_space(node)
    return node


def _is_wildcard(table: exp.Table) -> bool:
    return table.name.endswith("*")


def _is_text(node: exp.Expr) -> bool:
    """Returns whether an expression is certainly text. Returns False for a column, because the type of a
    column is unknown."""
    return (
        isinstance(node, exp.JSONExtractScalar)
        or node.is_string
        or (isinstance(node, exp.Cast) and node.to.is_type(exp.DType.TEXT))
    )


def _whole_number_or_null(cast: exp.TryCast) -> exp.Expr:
    arguments = [cast.this.copy(), exp.Literal.string(WHOLE_NUMBER)]
    is_whole = exp.Anonymous(this="regexp_full_match", expressions=arguments)
    return exp.Case(ifs=[exp.If(this=is_whole, true=cast.copy())])


def _json_or_null(text: exp.Expr) -> exp.Expr:
    return exp.TryCast(this=text.copy(), to=exp.DataType.build("JSON"))


def _trim_white_space(node: exp.Trim) -> exp.Expr:
    ends = {"LEADING": [f"^{WHITE_SPACE}+"], "TRAILING": [f"{WHITE_SPACE}+$"]}
    pattern = "|".join(ends.get(str(node.args.get("position") or ""), [*ends["LEADING"], *ends["TRAILING"]]))
    arguments = [
        node.this.copy(),
        exp.Literal.string(pattern),
        exp.Literal.string(""),
        exp.Literal.string("g"),
    ]
    return exp.Anonymous(this="regexp_replace", expressions=arguments)
