"""extract: the batches of an earlier version, which separated words by white space only, are counted again
without the source."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pytest

from pipeline.contracts import ISSUES
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.draft import Draft
from pipeline.lake.draft_records import record_draft
from pipeline.lake.manifest import Manifest
from pipeline.settings import Settings, Text
from pipeline.source.trainable import thresholds, without_word
from pipeline.stages import extract_file
from pipeline.stages.lost_data import lost_data
from pipeline.stages.recounted_words import find_extracted, reuse_extracted

DAY = {"day": "2024-01-01"}
PARAMETERS = {"hours": [[0, 10, "a"], [1, 10, "b"]], "query": "q", **thresholds(Text())}
BODY = "点击设置按钮以后程序没有反应"
LATER_COLUMNS = {"author_association": None, "source": None}
"""The columns that an earlier version did not write, with their values in its rows."""
EARLIER_ISSUES = replace(
    ISSUES, schema=pa.schema([field for field in ISSUES.schema if field.name not in LATER_COLUMNS])
)
"""The table as an earlier version wrote it."""
ENGLISH = ("it does not start", "one two three four five six", True)


def row(issue_id: int, title: str, body: str, trainable: bool) -> dict[str, Any]:
    return {
        "issue_id": issue_id,
        "issue_url": "u",
        "repo": "o/r",
        "number": 1,
        "author": None,
        "title": title,
        "body": body,
        "created_at": datetime(2024, 1, 1, tzinfo=UTC),
        "event_id": "1",
        "trainable": trainable,
    }


def earlier_batch(lake: Lake, *rows: dict[str, Any]) -> Manifest:
    """A batch of an earlier version."""
    draft = lake.draft(ISSUES.name, DAY, (), without_word(PARAMETERS))
    table = pa.Table.from_pylist(list(rows), schema=EARLIER_ISSUES.schema)
    draft.write_table("part-00000.parquet", table, EARLIER_ISSUES)
    return draft.commit({"events": 9, "trainable": 1, "untrainable": {"short_body": len(rows) - 1}})


def reuse(lake: Lake, parameters: dict[str, Any]) -> tuple[Manifest, bool] | None:
    return reuse_extracted(lake, DAY, parameters, lake.current(ISSUES.name, DAY))


def draft_of_an_earlier_version(
    lake: Lake, table: str, partition: dict[str, str], inputs: tuple[str, ...], parameters: dict[str, Any]
) -> Draft:
    draft = Draft(lake, table, partition, inputs, without_word(parameters))
    record_draft(lake, draft.folder)
    return draft


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_a_batch_with_issues_that_are_trainable_now_is_written_again_once(lake: Lake) -> None:
    rows = [row(1, *ENGLISH), row(2, "设置页面打不开", BODY, False), row(3, "崩溃", BODY, False)]
    earlier = earlier_batch(lake, *rows)
    assert find_extracted(lake, DAY, PARAMETERS) == earlier
    manifest, is_new = reuse(lake, PARAMETERS) or (earlier, False)
    assert is_new
    assert lake.read(manifest, ISSUES).to_pylist() == [
        {**row, **LATER_COLUMNS} for row in (rows[0], {**rows[1], "trainable": True}, rows[2])
    ]
    counts = {"no_body": 0, "short_body": 0, "short_title": 1, "long_title": 0, "long_body": 0}
    assert manifest.figures == {
        "events": 9,
        "trainable": 2,
        "untrainable": counts,
        "recounted_from": earlier.batch_id,
    }
    assert manifest.parameters == PARAMETERS
    assert lake.current(ISSUES.name, DAY) == find_extracted(lake, DAY, PARAMETERS) == manifest
    assert reuse(lake, PARAMETERS) == (manifest, False)


def test_a_batch_in_which_no_other_issue_is_trainable_is_used_as_it_is(lake: Lake) -> None:
    earlier = earlier_batch(lake, row(1, *ENGLISH), row(2, "崩溃", BODY, False))
    assert reuse(lake, PARAMETERS) == (earlier, False)


def test_words_are_counted_once_if_nothing_changes(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = earlier_batch(lake, row(1, *ENGLISH))
    assert reuse(lake, PARAMETERS) == (earlier, False)
    monkeypatch.setattr(lake, "read_part", Mock(side_effect=AssertionError))
    assert reuse(lake, PARAMETERS) == (earlier, False)
    assert lake.current(ISSUES.name, DAY) == find_extracted(lake, DAY, PARAMETERS) == earlier


def test_another_definition_of_a_word_is_applied_to_the_current_batch(lake: Lake) -> None:
    """The day was extracted by an earlier version, then again with two characters per word."""
    earlier_batch(lake, row(1, *ENGLISH), row(2, "设置页面打不开", BODY, False))
    draft = lake.draft(ISSUES.name, DAY, (), PARAMETERS)
    rows = [row(1, *ENGLISH), row(2, "设置页面打不开", BODY, True), row(3, *ENGLISH)]
    draft.write_table("part-00000.parquet", pa.Table.from_pylist(rows, schema=ISSUES.schema), ISSUES)
    extracted_again = draft.commit({"events": 10})

    def flags(characters_per_word: int) -> tuple[list[bool], bool]:
        word = thresholds(Text(characters_per_word=characters_per_word))
        manifest, is_new = reuse(lake, {**PARAMETERS, **word}) or (extracted_again, False)
        assert lake.current(ISSUES.name, DAY) == manifest
        return lake.read(manifest, ISSUES).column("trainable").to_pylist(), is_new

    assert flags(9) == ([True, False, True], True)
    assert flags(9) == ([True, False, True], False)
    assert flags(2) == ([True, True, True], False)
    assert lake.current(ISSUES.name, DAY) == extracted_again
    assert flags(9) == ([True, False, True], False)


def test_a_batch_of_other_data_is_not_used(lake: Lake) -> None:
    earlier_batch(lake, row(1, *ENGLISH))
    assert reuse(lake, {**PARAMETERS, "hours": [[0, 10, "a"]]}) is None


def test_what_an_earlier_version_extracted_is_kept_if_the_source_has_lost_data() -> None:
    available = {**PARAMETERS, "hours": [[0, 10, "a"]]}
    assert lost_data(without_word(PARAMETERS), available) == "1 of the 2 hours"


@pytest.mark.parametrize(("title", "is_new"), [("设置页面打不开", True), ("崩溃", False)])
def test_a_file_is_read_again_only_if_other_rows_of_it_are_trainable_now(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str, is_new: bool
) -> None:
    english = [{"title": ENGLISH[0], "body": f"{ENGLISH[1]} {n}", "repo": f"o/r{n}"} for n in range(40)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*english, {"title": title, "body": BODY}]))
    with monkeypatch.context() as earlier_version:
        limits = {**thresholds(Text()), "word": r"[^ ]+"}
        earlier_version.setattr(extract_file, "thresholds", lambda text: limits)
        earlier_version.setattr(Lake, "draft", draft_of_an_earlier_version)
        earlier_version.setattr(extract_file, "ISSUES", EARLIER_ISSUES)
        earlier, _ = extract_file.run(lake, Settings(), path)
    again, is_new_batch = extract_file.run(lake, Settings(), path)
    assert (is_new_batch, again.batch_id == earlier.batch_id) == (is_new, not is_new)
    assert again.figures["trainable"] == 40 + is_new


def test_a_file_that_an_earlier_version_read_as_other_rows_is_refused(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('title,body\nT,"a \\"\nT2,rest"\n')
    parameters = {"file_sha256": extract_file.file_digest(path), "form": 1, **thresholds(Text())}
    partition = {"file": parameters["file_sha256"][:16]}
    lake.draft(ISSUES.name, partition, (), without_word(parameters)).commit({"by_row": True})
    with pytest.raises(UsageError, match="line 3: the row has a quote in the middle of a field"):
        extract_file.run(lake, Settings(), path)
