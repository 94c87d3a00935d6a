"""The key of a batch depends on inputs and parameters; its digest depends on the content only."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.lake.fingerprint import content_digest, fingerprint

DAY = {"day": "2015-01-01"}
FILES = {"part-00000.parquet": "aa", "part-00001.parquet": "bb"}


def test_stored_keys_and_digests_stay_the_same() -> None:
    """Any other value would make Titler repeat all work of an existing lake."""
    assert fingerprint("tokens_v1", DAY, ("abc",), {"engine": "titler"}) == "1856a63d8158b2b63e6dc2d8998579a8"
    assert (
        content_digest("tokens_v1", DAY, FILES)
        == "d9c9eb42f52cbfe2ba4905035c5789ed196af2976e6a6aec64ec47c4ac3f285a"
    )


def test_the_order_of_the_parameters_does_not_change_the_key() -> None:
    assert fingerprint("t", DAY, (), {"a": 1, "b": 2}) == fingerprint("t", DAY, (), {"b": 2, "a": 1})


@pytest.mark.parametrize(
    "arguments",
    [
        ("other", DAY, ("a", "b"), {"x": 1}),
        ("t", {"day": "2015-01-02"}, ("a", "b"), {"x": 1}),
        ("t", DAY, ("b", "a"), {"x": 1}),
        ("t", DAY, ("a", "b"), {"x": 2}),
        ("t", DAY, ("a", "b"), {"x": "1"}),
    ],
    ids=["table", "partition", "order of inputs", "parameter", "type of a parameter"],
)
def test_any_other_difference_changes_the_key(arguments: tuple[Any, ...]) -> None:
    assert fingerprint(*arguments) != fingerprint("t", DAY, ("a", "b"), {"x": 1})


def test_the_order_in_which_files_were_written_does_not_change_the_digest() -> None:
    assert content_digest("t", DAY, FILES) == content_digest("t", DAY, dict(reversed(FILES.items())))


@pytest.mark.parametrize(
    "files", [{"part-00000.parquet": "aa"}, {**FILES, "part-00001.parquet": "cc"}, {"a": "aa", "b": "bb"}]
)
def test_different_files_give_a_different_digest(files: dict[str, str]) -> None:
    assert content_digest("t", DAY, files) != content_digest("t", DAY, FILES)
