"""The names that rows and batches have for the bases of hour files."""

from __future__ import annotations

import pytest

from pipeline.settings import HourBase
from pipeline.source.base_names import base_name, base_names, with_base_names


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("/data/archive/", "archive"),
        ("hours", "hours"),
        ("file:///data/archive", "archive"),
        ("https://user:secret@example.org/hours/?key=1", "https://example.org/hours"),
        ("gs://bucket/hours", "gs://bucket/hours"),
        ("/", "/"),
    ],
)
def test_a_folder_is_named_by_its_last_part_and_an_address_without_credentials(base: str, name: str) -> None:
    assert (base_name(base), base_name(name)) == (name, name)


def test_folders_with_the_same_last_part_have_different_names() -> None:
    bases = [HourBase(base=base) for base in ("/a/hours", "/b/hours", "/c/hours/")]
    assert base_names(bases) == ["hours", "hours (2)", "hours (3)"]
    bases = [HourBase(base=base) for base in ("/a/hours (2)", "/b/hours", "/c/hours")]
    assert base_names(bases) == ["hours (2)", "hours", "hours (3)"]


def test_parameters_of_an_earlier_version_get_the_names() -> None:
    stored = {"query": "q", "hours": [[3, 10, "stamp"], [4, 20, "stamp", "/data/crawled"]]}
    assert with_base_names(stored)["hours"] == [[3, 10, "stamp"], [4, 20, "stamp", "crawled"]]
    assert with_base_names({"table": "t", "table_rows": 3}) == {"table": "t", "table_rows": 3}
