"""Pages: lists with an entry per day, split by month and closed year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.json_documents import Document
from pipeline.lake.local_cache import LocalCache
from pipeline.lake.pages import (
    delete_pages_except,
    group_by_period,
    page_remedy,
    periods_within,
    read_pages,
    write_page,
    write_pages,
)


@pytest.mark.parametrize(
    ("days", "periods"),
    [
        ([], {}),
        (["2015-01-01"], {"2015-01": ["2015-01-01"]}),
        (
            ["2015-01-30", "2015-01-31", "2015-02-01"],
            {"2015-01": ["2015-01-30", "2015-01-31"], "2015-02": ["2015-02-01"]},
        ),
        (
            ["2014-11-01", "2014-12-31", "2015-01-01", "2015-03-01"],
            {"2014": ["2014-11-01", "2014-12-31"], "2015-01": ["2015-01-01"], "2015-03": ["2015-03-01"]},
        ),
    ],
    ids=["no day", "a day", "two months", "a closed year"],
)
def test_days_are_grouped_by_month_and_by_closed_year(days: list[str], periods: dict[str, list[str]]) -> None:
    assert {period: days[positions] for period, positions in group_by_period(days)} == periods


def test_a_closed_year_replaces_its_months() -> None:
    assert periods_within("2014", ["2013", "2014-11", "2014-12", "2015-01"]) == ["2014-11", "2014-12"]
    assert periods_within("2014-11", ["2014-11", "2014-12"]) == ["2014-11"]


ANY_OBJECT: Document[dict[str, int]] = Document(dict[str, int], "an object", page_remedy)


def test_equal_contents_have_the_same_page(lake: Lake) -> None:
    first = write_pages(lake, {"2015-01": {"a": 1}, "2015-02": {"b": 2}})
    second = write_pages(lake, {"2015-01": {"a": 1}, "2015-02": {"b": 3}})
    assert first["2015-01"] == second["2015-01"]
    assert len(lake.names("pages")) == 3
    assert read_pages(lake, second.values(), ANY_OBJECT) == [{"a": 1}, {"b": 3}]


def test_a_page_that_is_known_to_exist_is_not_written_again(lake: Lake) -> None:
    name = write_page(lake, b"[]", "json")
    lake.delete(f"pages/{name}")
    assert write_page(lake, b"[]", "json", [name]) == name
    assert lake.names("pages") == []


@pytest.mark.parametrize("content", [None, b'{"a": 2}'])
def test_a_missing_or_damaged_page_is_an_error_until_it_is_restored(
    root: str, tmp_path: Path, content: bytes | None
) -> None:
    lake = Lake(root, LocalCache(str(tmp_path / "cache")))
    another_machine = Lake(root, LocalCache(str(tmp_path / "another cache")))
    (name,) = write_pages(another_machine, {"2015-01": {"a": 1}}).values()
    lake.delete(f"pages/{name}")
    if content:
        lake.put(f"pages/{name}", content)
    with pytest.raises(LakeError, match=rf"pages/{name} is missing, or it is damaged.*\n.*titler plan"):
        read_pages(lake, [name], ANY_OBJECT)
    write_pages(lake, {"2015-01": {"a": 1}})
    assert read_pages(lake, [name], ANY_OBJECT) == [{"a": 1}]


def test_a_page_that_this_machine_has_written_is_not_downloaded(root: str, tmp_path: Path) -> None:
    lake = Lake(root, LocalCache(str(tmp_path / "cache")))
    (name,) = write_pages(lake, {"2015-01": {"a": 1}}).values()
    if "://" in root:
        lake.delete(f"pages/{name}")
    assert read_pages(lake, [name], ANY_OBJECT) == [{"a": 1}]


def test_pages_that_nothing_names_are_deleted_unless_they_are_new(lake: Lake) -> None:
    used, unused = (write_page(lake, content, "json") for content in (b"1", b"2"))
    delete_pages_except(lake, [used], datetime.now(UTC) - timedelta(days=2))
    assert lake.names("pages") == sorted([used, unused])
    delete_pages_except(lake, [used], datetime.now(UTC) + timedelta(days=1))
    assert lake.names("pages") == [used]
