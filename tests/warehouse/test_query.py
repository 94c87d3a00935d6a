"""A query's identity: its tokens, without comments and layout."""

from __future__ import annotations

import pytest

from pipeline.warehouse import Query

SQL = "SELECT a, 'x' AS b\nFROM t -- all of it\nWHERE n >= 10\n"


def digest(sql: str) -> str:
    return Query("q", sql).digest


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a, 'x' AS b\nFROM t\nWHERE n >= 10",
        "-- another comment\nSELECT a, 'x' AS b\nFROM t\nWHERE n >= 10\n",
        "SELECT a, 'x' AS b\n\nFROM t # it's a hash comment\nWHERE n >= 10\n",
        "SELECT a, /* it's\n -- inline */ 'x' AS b FROM t WHERE n>=10",
        "SELECT\n  a,\n  'x' AS b\nFROM\n  t\nWHERE\n  n >= 10\n",
    ],
)
def test_comments_and_layout_do_not_change_the_digest(sql: str) -> None:
    assert digest(sql) == digest(SQL)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("SELECT 10", "SELECT 11"),
        ("SELECT 'x'", "SELECT 'y'"),
        ("SELECT 'x'", 'SELECT "x"'),
        ("SELECT 'a b'", "SELECT 'a  b'"),
        ("SELECT 'x' -- 'y'", "SELECT 'x -- y'"),
        ("SELECT 'a -- b', 1", "SELECT 'a -- c', 1"),
        ("SELECT 'a # b'", "SELECT 'a # c'"),
        ("SELECT 'a /* b */'", "SELECT 'a /* c */'"),
        (r"SELECT 'it\'s -- a'", r"SELECT 'it\'s -- b'"),
        (r"SELECT r'\' -- a'", r"SELECT r'\' -- b'"),
        ("SELECT '''it's -- a'''", "SELECT '''it's -- b'''"),
        ('SELECT """\n-- a"""', 'SELECT """\n-- b"""'),
        ("SELECT `a--b`", "SELECT `a--c`"),
        ("SELECT r'x'", "SELECT 'x'"),
        ("SELECT a b", "SELECT ab"),
        ("SELECT A", "SELECT a"),
    ],
)
def test_another_statement_has_another_digest(first: str, second: str) -> None:
    assert digest(first) != digest(second)


def test_the_extraction_keeps_the_digest_that_version_0_1_0_stored() -> None:
    """Otherwise every day of an existing lake would be extracted again, and billed again."""
    assert Query.from_file("extract_issues").digest == "4ec12902ebd9f13e"
