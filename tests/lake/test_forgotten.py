"""The list of what was forgotten: what it recognises, and that it names nobody."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.errors import TitlerError
from pipeline.lake.batches import Lake
from pipeline.lake.forgotten import (
    FORGOTTEN,
    Forgetting,
    ForgottenList,
    Matcher,
    address_of,
    refuse_while_forgetting,
)

SALT = "00" * 16
GITHUB = "https://github.com/"
OTHERS = ("C/c/issues/1", "a/b/issues/55", "a/b/issues/6")


def matcher_of(**values: str) -> Matcher:
    """Recognises these values, by kind."""
    forgotten = ForgottenList(SALT)
    return Matcher(SALT, [{kind: [forgotten.hash_of(kind, value)] for kind, value in values.items()}])


def entry(**changes: str) -> Forgetting:
    values = {
        "id": "a",
        "kind": "repo",
        "because": "why",
        "by": "me",
        "begun_at": "2015-01-04T03:12:00+00:00",
    }
    return Forgetting(**{**values, "hashes": {}, **changes})  # type: ignore[arg-type]  # literal values


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/Rust-Lang/rust/issues/5", "rust-lang/rust#5"),
        ("https://github.com/rust-lang/rust/pull/5#issuecomment-7", "rust-lang/rust#5"),
        ("https://Example.org/5", "https://example.org/5"),
    ],
)
def test_an_address_is_recognised_in_every_letter_case_and_form(url: str, address: str) -> None:
    assert address_of(url) == address


def test_rows_are_recognised_by_id_address_repository_and_author() -> None:
    rows = pa.table(
        {
            "issue_id": [77, 1, 2, 3, 4],
            "issue_url": [GITHUB + path for path in ("a/a/issues/1", "A/b/issues/5", *OTHERS)],
            "author": [None, "x", "y", "Ann", "anna"],
        }
    )
    assert matcher_of(issue="77").mask(rows).tolist() == [True, False, False, False, False]
    assert matcher_of(address="a/b#5").mask(rows).tolist() == [False, True, False, False, False]
    assert matcher_of(repo="c/c").mask(rows).tolist() == [False, False, True, False, False]
    assert matcher_of(author="ann").mask(rows).tolist() == [False, False, False, True, False]


def test_a_mark_is_recognised_by_either_of_its_two_issues() -> None:
    marks = pa.table(
        {
            "repo": ["a/b", "a/b", "c/d"],
            "number": [5, 6, 7],
            "issue_url": [GITHUB + path for path in ("a/b/issues/5", "a/b/issues/6", "c/d/issues/7")],
            "duplicate_of_repo": ["a/b", "A/b", "a/b"],
            "duplicate_of_number": [1, 5, 55],
        }
    )
    assert matcher_of(address="a/b#5").mask(marks).tolist() == [True, True, False]
    assert matcher_of(repo="a/b").mask(marks).tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("line", "is_recognised"),
    [
        ('{"html_url":"https:\\/\\/github.com\\/A\\/B\\/issues\\/5","body":"torn', True),
        ('{"text": "{\\"html_url\\":\\"https:\\\\/\\\\/github.com\\\\/a\\\\/b\\\\/issues\\\\/5"}', True),
        ('{"url":"https://api.github.com/repos/a/b/issues/5"', True),
        ('{"actor":{"login":"Ann"', True),
        ('{"id":77,', True),
        ('{"id":777,"html_url":"https://github.com/a/b/issues/55","login":"anna"', False),
    ],
)
def test_a_malformed_line_is_recognised_by_what_it_names(line: str, is_recognised: bool) -> None:
    assert matcher_of(address="a/b#5", author="ann", issue="77").is_in_text(line) == is_recognised


def test_a_bot_is_recognised_in_a_malformed_line() -> None:
    matcher = matcher_of(author="helper[bot]")
    assert matcher.is_in_text('{"actor":{"login":"helper[bot]"')
    assert not matcher.is_in_text('{"actor":{"login":"helper"')


def test_the_list_has_hashes_that_depend_on_its_salt_and_no_names(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    one, two = ForgottenList.read(lake), ForgottenList.read(lake)
    hashed = one.hash_of("author", "ann")
    assert hashed != two.hash_of("author", "ann")
    one.store(lake, dataclasses.replace(entry(), hashes={"author": [hashed]}))
    stored = ForgottenList.read(lake)
    assert stored.matcher is not None
    assert stored.matcher.matches("author", "ann")
    assert b"ann" not in (lake.get(FORGOTTEN) or b"")


def test_no_command_may_write_until_an_interrupted_one_has_finished(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    refuse_while_forgetting(lake)
    ForgottenList.read(lake).store(lake, entry())
    with pytest.raises(TitlerError, match="titler forget --repo, begun by me at 2015-01-04T03:12 UTC"):
        refuse_while_forgetting(lake)
    ForgottenList.read(lake).store(lake, entry(finished_at="2015-01-04T03:13:00+00:00"))
    refuse_while_forgetting(lake)
