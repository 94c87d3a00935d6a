"""Rows of an issue from the files of a batch, and which of them stay in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contracts import ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from pipeline.serving import stored_issue
from tests.stages.literal_issues import issue, issues


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def committed(lake: Lake, day: str, *bodies: str) -> Manifest:
    """A batch of issues with these bodies, numbered from 1."""
    draft = lake.draft(ISSUES.name, {"day": day}, [])
    rows = [issue(number, f"t{number}", body) for number, body in enumerate(bodies, start=1)]
    draft.write_table("part-00000.parquet", issues(*rows), ISSUES)
    return draft.commit()


def read(lake: Lake, batch: Manifest, issue_id: int) -> list[dict[str, str]]:
    return stored_issue.issue_rows(stored_issue.open_files(lake, batch), issue_id, ["title", "body"])


def test_an_issue_is_read_again_from_memory(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = committed(lake, "2024-01-01", "a", "b")
    assert read(lake, batch, 2) == [{"title": "t2", "body": "b"}]
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", None)
    assert (read(lake, batch, 2), read(lake, batch, 1)) == (
        [{"title": "t2", "body": "b"}],
        [{"title": "t1", "body": "a"}],
    )


def test_only_the_row_group_with_the_issue_is_read_of_a_large_day(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = committed(lake, "2024-01-01", *map(str, range(2 * ISSUES.rows_per_row_group + 1)))
    read_row_group, groups_read = pq.ParquetFile.read_row_group, set[int]()

    def recording(file: pq.ParquetFile, group: int, *arguments: Any, **options: Any) -> pa.Table:
        groups_read.add(group)
        return read_row_group(file, group, *arguments, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", recording)
    last_of_second_group = 2 * ISSUES.rows_per_row_group
    assert read(lake, batch, last_of_second_group) == [
        {"title": f"t{last_of_second_group}", "body": str(last_of_second_group - 1)}
    ]
    assert groups_read == {1}


def test_texts_that_are_large_in_memory_are_not_kept_there_although_their_file_is_small(lake: Lake) -> None:
    batch = committed(lake, "2024-01-01", *["x" * 60_000] * 100)
    assert sum(file.bytes for file in batch.files) < 100_000
    assert len(read(lake, batch, 7)) == 1
    assert [columns for path, _, columns in stored_issue._remembered if str(path).startswith(lake.root)] == [
        ("issue_id",)
    ]


def test_the_tables_that_were_read_last_stay_in_memory(lake: Lake) -> None:
    batches = [committed(lake, f"2024-01-{day:02}", "a") for day in range(1, 12)]
    for batch in (*batches, batches[0]):
        read(lake, batch, 1)
    assert len(stored_issue._remembered) == stored_issue.TABLES_REMEMBERED
    assert [path.parent.name for path, _, _ in stored_issue._remembered][-1] == batches[0].batch_id
