"""Finding an issue for `titler explain`: in a release, in another one, in the lake, or nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import ISSUES, QUARANTINE
from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.lake.day_catalogue import update_catalogue
from pipeline.lake.pinned import Pinned
from pipeline.lake.plan import PinnedDay
from pipeline.releases.current import point_to
from pipeline.releases.records import RECORD
from pipeline.serving.explain_openings import IssueName, Openings
from pipeline.settings import Settings
from tests.stages.literal_issues import SubwordLake, issue, issues
from tests.support.release_records import release_record

CRASH = issue(1, "It crashes", "On start", "rust-lang/rust")
OTHER = issue(2, "It hangs", "On exit", "golang/go")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def ingest(lake: Lake, day: str, *rows: dict[str, Any], **figures: Any) -> PinnedDay:
    """A day with these issues, which were opened at noon of this day."""
    noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)
    table = issues(*({**row, "created_at": noon, "event_id": day} for row in rows))
    draft = lake.draft(ISSUES.name, {"day": day}, [str(rows)])
    draft.write_table("part-00000.parquet", table, ISSUES)
    batch = draft.commit(figures)
    return PinnedDay(day, batch.folder, "", "", batch.digest, "", "")


def release(lake: Lake, name: str, *days: PinnedDay, current: bool = False) -> Pinned:
    pinned = Pinned(lake, "releases", name)
    pinned.open(days, {})
    pinned.members.put(ISSUES.name, [lake.manifest(day.issues) for day in days])
    if current:
        point_to(lake, name)
    return pinned


def openings(lake: Lake, text: str, of: Pinned) -> list[tuple[str, str, bool]]:
    """The day, the address and whether it counts, of each opening of the issue."""
    return [
        (each.day.day, each.row["issue_url"], each.counts)
        for each in Openings(lake, Settings(), IssueName.parse(text)).require(of)
    ]


def error(lake: Lake, text: str, of: Pinned) -> Sequence[str]:
    with pytest.raises(UsageError) as raised:
        openings(lake, text, of)
    return str(raised.value).splitlines()


@pytest.mark.parametrize(
    "text", ["1", " rust-lang/rust#1 ", "https://github.com/Rust-Lang/RUST/issues/1#issuecomment-5"]
)
def test_an_issue_is_found_by_its_id_and_by_its_address_in_any_form(lake: Lake, text: str) -> None:
    of = release(lake, "r", ingest(lake, "2015-01-01", OTHER), ingest(lake, "2015-01-02", CRASH))
    assert openings(lake, text, of) == [("2015-01-02", CRASH["issue_url"], True)]


def test_the_earliest_opening_counts_and_the_address_of_a_later_one_leads_to_it(lake: Lake) -> None:
    renamed = {**CRASH, "issue_url": "https://github.com/rust-lang/new-name/issues/1"}
    of = release(lake, "r", ingest(lake, "2015-01-01", CRASH), ingest(lake, "2015-01-02", renamed))
    assert openings(lake, "rust-lang/new-name#1", of) == [
        ("2015-01-01", "https://github.com/rust-lang/rust/issues/1", True),
        ("2015-01-02", "https://github.com/rust-lang/new-name/issues/1", False),
    ]


def test_only_the_days_in_the_list_of_ids_are_read(tmp_path: Path) -> None:
    small = SubwordLake(tmp_path, [OTHER], [CRASH])
    update_catalogue(small.lake, lambda: [], [])
    days = [
        PinnedDay(batch.day, batch.folder, "", "", batch.digest, "", "")
        for day in ("2015-01-01", "2015-01-02")
        if (batch := small.lake.current(ISSUES.name, {"day": day}))
    ]
    of = release(small.lake, "r", *days)
    small.lake.delete(f"{days[0].issues}/part-00000.parquet")
    assert openings(small.lake, "1", of) == [("2015-01-02", CRASH["issue_url"], True)]


def test_every_release_that_has_the_issue_or_cannot_be_read_is_listed(lake: Lake) -> None:
    first, second = ingest(lake, "2015-01-01", CRASH), ingest(lake, "2015-01-02", OTHER)
    release(lake, "a", first)
    release(lake, "b", second)
    current = release(lake, "c", first, second)
    release(lake, "damaged", first)
    lake.put("releases/damaged/plan.json", b"{")
    release(lake, "published", first).notes[RECORD] = release_record("published", "2015-01-03T03:12:00+00:00")
    lake.delete("releases/published/plan.json")
    others, problems = Openings(lake, Settings(), IssueName.parse("1")).other_releases(current, 1)
    assert [other.name for other in others] == ["a"]
    assert {name: problem.partition(", ")[0].partition(" (")[0] for name, problem in problems.items()} == {
        "damaged": f"The file {lake.root}/releases/damaged/plan.json is damaged: it is not valid JSON",
        "published": f"The file {lake.root}/releases/published/plan.json is missing",
    }


def test_an_issue_of_an_older_release_leads_to_that_release(lake: Lake) -> None:
    release(lake, "old", ingest(lake, "2015-01-01", CRASH))
    current = release(lake, "new", ingest(lake, "2015-01-01", OTHER), current=True)
    assert error(lake, "rust-lang/rust#1", current) == [
        "The issue rust-lang/rust#1 is not in the current release new, but it is in release old.",
        "To explain it in that release: titler explain rust-lang/rust#1 --release old",
    ]


def test_an_issue_that_is_in_no_release_leads_to_a_new_one(lake: Lake) -> None:
    of = release(lake, "r", ingest(lake, "2015-01-01", OTHER))
    ingest(lake, "2015-01-02", CRASH)
    assert error(lake, "1", of) == [
        "The lake has the issue 1 (day 2015-01-02), but no release has it yet.",
        "Make a release with this day: titler run --day 2015-01-02",
    ]


def test_an_unknown_issue_is_answered_with_the_days_of_the_lake(lake: Lake) -> None:
    quarantine = {QUARANTINE: "quarantine/day=2015-01-02/b", "malformed_issues": 3}
    days = ingest(lake, "2015-01-01", OTHER), ingest(lake, "2015-01-02", **quarantine)
    assert error(lake, "a/b#7", release(lake, "r", *days)) == [
        "The issue a/b#7 is not in release r. None of the 2 days of the lake (2015-01-01 to 2015-01-02) has "
        "it. Its event may be in a malformed line. Malformed lines that open an issue: 2015-01-02 (3).",
        "Check the address. To list the days: titler status",
        "If the issue was opened on another day, extract that day: titler run --day DAY",
    ]


@pytest.mark.parametrize("text", ["it crashes", "", "rust-lang/rust", "9" * 19, "9" * 5000])
def test_what_is_neither_an_address_nor_an_id_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is neither the address nor the id of an issue\."):
        IssueName.parse(text)
