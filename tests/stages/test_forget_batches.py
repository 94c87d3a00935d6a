"""forget: the rows of batches that are written again."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from pipeline.contracts import QUARANTINE, TABLES
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import MATCHED_COLUMNS, ForgottenList, Matcher
from pipeline.stages.collect import TABLES_BY_DAY, TABLES_BY_OWNER
from pipeline.stages.forget_batches import TABLES_IN_ORDER, Rewriting, close_ranks

OTHER_COLUMNS = {
    *("number", "issues", "issues_batch", "malformed_issues", "same_repo", "usual_issues"),
    "author_association",
}
"""Columns whose names look as if they named an issue, a repository or an author, but that do not, or only
together with another column."""


def test_every_table_of_the_lake_is_searched() -> None:
    assert set(TABLES_IN_ORDER) == {*TABLES_BY_DAY, *TABLES_BY_OWNER}


def test_every_column_that_names_an_issue_a_repository_or_an_author_is_searched() -> None:
    parts = ("issue", "url", "repo", "author", "login", "number")
    columns = {field.name for table in TABLES.values() for field in table.schema}
    naming = {name for name in columns if any(part in name for part in parts)}
    assert naming - {*MATCHED_COLUMNS} == OTHER_COLUMNS


def test_a_malformed_line_is_removed_whole_whatever_characters_it_has(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    draft = lake.draft(QUARANTINE, {"day": "2015-01-01"})
    draft.write_file(
        "malformed.jsonl", '{"login":"ann","body":"a\u2028secret"}\n{"login":"bo"}\n'.encode(), 2
    )
    before = draft.commit()
    forgotten = ForgottenList("00" * 16)
    rewriting = Rewriting(lake, "a", Matcher("00" * 16, [{"author": [forgotten.hash_of("author", "ann")]}]))
    rewriting.run([before], {before.folder: 1})
    after = rewriting.new[before.folder]
    assert (lake.read_file(after, after.files[0]), after.rows) == (b'{"login":"bo"}\n', 1)


def test_the_ranks_of_each_list_close_up_in_their_order() -> None:
    rows = pa.table(
        {
            "issue_id": [2, 1, 1, 1, 1],
            "list": ["everywhere", "everywhere", "repository", "repository", "repository"],
            "rank": [3, 2, 5, 1, 4],
        }
    )
    assert close_ranks(rows).column("rank").to_pylist() == [1, 1, 3, 1, 2]


def test_issues_of_an_earlier_version_have_one_list() -> None:
    rows = pa.table({"issue_id": [1, 2, 1], "rank": [2, 2, 4]})
    assert close_ranks(rows).column("rank").to_pylist() == [1, 1, 2]


def test_a_list_without_rows_has_no_ranks() -> None:
    rows = pa.table({"issue_id": pa.array([], pa.int64()), "rank": pa.array([], pa.int64())})
    assert len(close_ranks(rows)) == 0
