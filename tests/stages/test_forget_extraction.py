"""extract: what was forgotten is left out of a day and of a user's file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from pipeline.contracts import DUPLICATE_MARKS, EXTRACTED_ISSUES, ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import Forgetting, ForgottenList, Matcher
from pipeline.stages import extract_file
from pipeline.stages.extract_hours import HoursRead
from pipeline.stages.extract_marks import write_marks
from pipeline.warehouse import Extraction
from pipeline.warehouse.protocol import COMMENT_SCHEMA, MALFORMED_SCHEMA
from tests.stages.literal_issues import issue
from tests.stages.test_extract import comment_row
from tests.stages.test_extract_file import SETTINGS, filler, lines

SALT = "00" * 16
TIME = "2015-01-04T00:00:00+00:00"
LIST = ForgottenList(SALT)


def matcher_of(kind: str, value: str) -> Matcher:
    return Matcher(SALT, [{kind: [LIST.hash_of(kind, value)]}])


def test_issues_and_malformed_lines_of_a_forgotten_author_are_left_out_of_a_day() -> None:
    rows = [{**issue(1, "t", None), "author": "Ann"}, issue(2, "t", None)]
    malformed = [
        {"file": "h", "line": number, "reason": "torn", "text": text}
        for number, text in enumerate(['{"actor":{"login":"ann","id":1', '{"actor":{"login":"anna"'])
    ]
    issues = pa.Table.from_pylist(rows, EXTRACTED_ISSUES.schema)
    extraction = Extraction(issues.to_reader(), 2, pa.Table.from_pylist(malformed, MALFORMED_SCHEMA))
    read = HoursRead(extraction, {}, "source", {}).without_forgotten(matcher_of("author", "ann"))
    assert read.extraction.issues.read_all().column("issue_id").to_pylist() == [2]
    assert read.extraction.malformed.column("line").to_pylist() == [1]


def test_marks_of_a_forgotten_issue_are_left_out_on_either_side(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    comments = pa.Table.from_pylist(
        [comment_row("Duplicate of x/y#12"), comment_row("Duplicate of x/y#13")], COMMENT_SCHEMA
    )
    draft = lake.draft(ISSUES.name, {"day": "2015-01-01"})
    figures = write_marks(lake, draft, comments, matcher_of("address", "x/y#12"))
    marks = lake.read(lake.manifest(figures["batch"]), DUPLICATE_MARKS)
    assert marks.column("duplicate_of_number").to_pylist() == [13]
    assert write_marks(lake, draft, comments, matcher_of("address", "o/r#34"))["marks"] == 0


def test_rows_of_a_forgotten_repository_are_left_out_of_a_file(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    path = lines(tmp_path / "f.jsonl", *filler(40))
    hashes = {"repo": [LIST.hash_of("repo", "o/r7")]}
    LIST.store(lake, Forgetting("a", "repo", "why", "me", TIME, hashes, TIME))
    manifest, _ = extract_file.run(lake, SETTINGS, path)
    repos = lake.read(manifest, ISSUES, ["repo"]).column("repo").to_pylist()
    assert len(repos) == 39
    assert "o/r7" not in repos
