"""Contracts of tables. Data that does not conform is refused; the error names the table and the column."""

from __future__ import annotations

import pyarrow as pa
import pytest

import data_page
from pipeline.contracts import EMBEDDINGS, TABLES, TOKENS
from pipeline.errors import ContractError

ROWS = pa.table(
    {"issue_id": [7], "repo": ["a/b"], "trainable": [True], "body": [["one", "two"]], "title": [["three"]]}
)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ROWS.set_column(0, "issue_id", pa.array(["seven"])),
            r"tokens_v1: column 'issue_id' has the type string, expected int64",
        ),
        (
            ROWS.drop_columns(["title"]),
            r"tokens_v1: the data lacks the column 'title' \(list<item: string>\)",
        ),
        (
            ROWS.append_column("extra", pa.array([1])),
            r"tokens_v1: the data has a column 'extra', which is not in the table's contract",
        ),
        (
            ROWS.set_column(1, "repo", pa.array([None], pa.string())),
            r"tokens_v1: column 'repo' \(string\) is NULL in 1 of 1 rows, but",
        ),
    ],
    ids=["another type", "a missing column", "an extra column", "a NULL"],
)
def test_rows_that_do_not_conform_are_refused(rows: pa.Table, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        TOKENS.conform(rows)


def test_values_are_cast_to_the_type_of_the_contract() -> None:
    embeddings = pa.table({"issue_id": [1], "embedding": [[0.5, 2.0]]})
    assert EMBEDDINGS.conform(embeddings).schema == EMBEDDINGS.schema


def test_a_cast_that_would_lose_digits_is_refused() -> None:
    with pytest.raises(ContractError, match="cannot be cast"):
        TOKENS.conform(ROWS.set_column(0, "issue_id", pa.array([0.5])))


def test_the_page_of_tables_and_views_is_up_to_date() -> None:
    assert data_page.PAGE.read_text(encoding="utf-8") == data_page.page(), (
        "run .venv/bin/python infra/data_page.py"
    )


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_has_a_description(table) -> None:
    assert all(column.metadata[b"description"] for column in table.schema)
