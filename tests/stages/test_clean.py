"""clean: literal issues in, their tokens out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.settings import Settings
from pipeline.stages import clean
from pipeline.stages.clean import clean_part
from tests.stages.literal_issues import issue, issues


def test_an_issue_becomes_its_tokens_and_one_without_a_body_stays() -> None:
    rows = issues(
        issue(1, "Crash on 3 pages", "See https://example.com/z, please!"), issue(2, "No body", None)
    )
    assert clean_part(rows, "titler").to_pylist() == [
        {
            "issue_id": 1,
            "repo": "rust-lang/rust",
            "trainable": True,
            "body": ["see", "url", "please"],
            "title": ["crash", "on", "number", "pages"],
        },
        {"issue_id": 2, "repo": "rust-lang/rust", "trainable": True, "body": [], "title": ["no", "body"]},
    ]


def test_a_day_that_was_not_extracted_is_refused(tmp_path: Path) -> None:
    message = r"^2015-01-01 was not extracted\.\nRun first: titler extract --day 2015-01-01$"
    with pytest.raises(UsageError, match=message):
        clean.run(Lake(str(tmp_path)), Settings(), ["2015-01-01"])
