"""A day is taken from several bases of hour files: GH Archive's, and one that is filed by crawl time."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from pipeline.contracts import DUPLICATE_MARKS, ISSUES, SOURCE_HEALTH
from pipeline.errors import SourceError
from pipeline.lake.batches import Lake
from pipeline.serving.source_checks import ready
from pipeline.settings import Source
from pipeline.stages import clean, extract, extract_hours
from pipeline.stages.rechecked_days import DayRequest
from tests.support.hour_bases import DAY, NEXT, USUAL, Bases, at, issue, usual_days, watched, write
from tests.warehouse.events import commented


def test_where_each_hour_is_taken_from(served_bases: Bases) -> None:
    bases = served_bases
    usual_days(bases.settings)
    for hour in range(24):
        write(bases.archive, DAY, hour, [*watched(hour, USUAL), issue(hour, hour)])
    (bases.archive / f"{DAY}-4.json.gz").unlink()  # missing
    write(bases.archive, DAY, 5, [*watched(5, 2), issue(500, 5), issue(5, 5)])  # thin
    (bases.archive / f"{DAY}-6.json.gz").write_bytes(b"<html>")  # unreadable
    write(bases.archive, DAY, 7, watched(7, 3))  # thin, and the other base has less
    write(bases.crawled, DAY, 4, watched(4, 50))
    write(bases.crawled, DAY, 5, [*watched(4, 10, 45), *watched(5, USUAL), issue(5, 5), issue(501, 5)])
    write(bases.crawled, DAY, 6, [issue(400, 4), *watched(6, USUAL), issue(600, 6)])
    mark = commented("Duplicate of #12", event_id="77", at=at(6))
    write(bases.crawled, DAY, 8, [mark, issue(801, 8), {"malformed": 1}])  # read for late events only
    write(bases.crawled, DAY, 10, watched(6, 1, 70))
    (row,) = bases.extract()
    archive, crawled = bases.name(0), bases.name(1)
    taken = list(zip(row["hour_sources"], row["events_per_hour"], strict=True))
    assert taken == [
        *[(archive, 61)] * 4,
        (crawled, 56),  # hour 4: 50 events in its own file, 5 others an hour and 1 issue two hours later
        (crawled, 62),
        (crawled, 62),  # hour 6: a comment was crawled two hours later; an event after four is not read
        (archive, 3),
        *[(archive, 61)] * 16,
    ]
    assert [len(digest) for digest in row["hour_digests"]] == [64] * 24
    assert (row["verdict"], row["reason"]) == ("partial", "3 events in hour 7 where 60 are usual")
    assert row["malformed"] == 1  # the file of hour 6 in the first base
    sources = {issue["issue_id"]: issue["source"] for issue in bases.rows(ISSUES)}
    own = {hour: archive for hour in range(24) if hour not in (4, 6, 7)}
    assert sources == {**own, 500: archive, 501: crawled, 400: crawled, 600: crawled}
    assert [(mark["event_id"], mark["source"]) for mark in bases.rows(DUPLICATE_MARKS)] == [("77", crawled)]


def test_an_event_belongs_to_the_day_of_its_own_time(bases: Bases) -> None:
    settings = bases.settings.model_copy(
        update={"source": Source(hours=(bases.settings.source.bases[1],), late_hours=2)}
    )
    bases = bases._replace(settings=settings)
    write(bases.crawled, DAY, 0, [issue(1, -1), *watched(0, 1)])
    write(bases.crawled, NEXT, 1, [issue(2, 23), issue(3, 25), *watched(23, 1), {"broken": 1}])
    (row,) = bases.extract()
    assert [issue["issue_id"] for issue in bases.rows(ISSUES)] == [2]
    assert (row["verdict"], row["events"], row["malformed"]) == ("complete", 25, 0)

    assert ready(settings, DAY)["ready"]
    (bases.crawled / f"{NEXT}-1.json.gz").unlink()
    assert ready(settings, DAY) == {
        "day": str(DAY),
        "ready": False,
        "source": f"hour 1 of the next day in {bases.address(0)}",
    }
    (row,) = bases.extract(again=True)
    assert (row["verdict"], row["late_hours_missing"], row["reason"]) == (
        "partial",
        [25],
        "late events may be missing, because the files of hour 1 of the next day were not read",
    )


def test_days_that_are_not_complete_are_checked_again(
    bases: Bases, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(bases.settings.lake.root)
    (bases.archive / f"{DAY}-4.json.gz").unlink()
    (bases.crawled / f"{DAY}-4.json.gz").unlink()
    (row,) = bases.extract()
    assert (row["verdict"], row["hours_missing"]) == ("partial", [4])
    clean.run(lake, bases.settings, [str(DAY)])
    for hour in range(24):
        write(bases.archive, NEXT, hour, watched(24 + hour, 1))
    assert [row["day"] for row in bases.extract(NEXT)] == [NEXT]  # nothing has arrived
    write(bases.crawled, DAY, 4, [issue(4, 4)])
    rows = bases.extract(NEXT)
    assert [(row["day"], row["verdict"]) for row in rows] == [(DAY, "complete"), (NEXT, "complete")]
    assert rows[0]["hour_sources"][4] == bases.name(1)
    assert [issue["issue_id"] for issue in bases.rows(ISSUES)] == [4]
    printed = capsys.readouterr().out
    assert "    2015-01-10: extracted again, because the source may have more of this day now\n" in printed
    assert f"    2015-01-10: hour 4 taken from {bases.name(1)}, not from {bases.name(0)}\n" in printed
    cleaned = clean.run(lake, bases.settings, [str(NEXT)])
    assert [(manifest.day, manifest.rows) for manifest in cleaned.manifests] == [
        ("2015-01-10", 1),
        ("2015-01-11", 0),
    ]


@pytest.fixture
def incomplete(bases: Bases, monkeypatch: pytest.MonkeyPatch) -> tuple[Bases, list[date]]:
    """DAY is extracted without hour 4, and NEXT has all hours. Also returns the days that are read from now
    on."""
    for folder in (bases.archive, bases.crawled):
        (folder / f"{DAY}-4.json.gz").unlink()
    for hour in range(24):
        write(bases.archive, NEXT, hour, watched(24 + hour, 1))
    write(bases.archive, DAY, 7, watched(7, 60))
    bases.extract()
    days_read: list[date] = []
    read_hours = extract_hours.read_hours

    def recorded(*arguments: Any) -> Any:
        days_read.append(arguments[2].day)
        return read_hours(*arguments)

    monkeypatch.setattr(extract, "read_hours", recorded)
    return bases, days_read


def test_a_check_that_was_killed_before_the_verdict_is_completed_by_the_next_one(
    incomplete: tuple[Bases, list[date]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bases, days_read = incomplete
    write(bases.archive, DAY, 4, [issue(4, 4)])
    with monkeypatch.context() as killed:
        killed.setattr(extract, "recheck_requests", lambda *_: [DayRequest(DAY, recheck=True)])
        killed.setattr(extract, "judge_day", Mock(side_effect=[{}, KeyboardInterrupt]))
        with pytest.raises(KeyboardInterrupt):
            bases.extract(NEXT)
    assert DAY in days_read
    days_read.clear()
    assert [row["day"] for row in bases.extract(NEXT)] == [NEXT]
    assert DAY not in days_read
    (verdict,) = bases.rows(SOURCE_HEALTH)
    assert verdict["verdict"] == "complete"
    files = sorted(Path(bases.settings.lake.root).rglob("*"))
    bases.extract(NEXT)
    assert sorted(Path(bases.settings.lake.root).rglob("*")) == files


@pytest.mark.parametrize(
    ("events", "still_available"),
    [(59, "81 of the 82 events"), (3, "3 of the 60 events of hour 7")],
    ids=["one event fewer", "a thin hour"],
)
def test_a_check_that_finds_less_is_reported_and_reads_the_files_once(
    incomplete: tuple[Bases, list[date]],
    capsys: pytest.CaptureFixture[str],
    events: int,
    still_available: str,
) -> None:
    bases, days_read = incomplete
    write(bases.archive, DAY, 7, watched(7, events))
    for _ in range(2):
        capsys.readouterr()
        assert [row["day"] for row in bases.extract(NEXT)] == [NEXT]
        printed = capsys.readouterr().out
        reason = "because the source has lost data since the extraction"
        assert f"{reason}. The source now has only {still_available}." in printed
    assert days_read.count(DAY) == 1
    write(bases.archive, DAY, 7, watched(7, 61))
    assert [row["day"] for row in bases.extract(NEXT)] == [DAY, NEXT]
    bases.extract(DAY)
    assert "extracted again" not in capsys.readouterr().out.rpartition("extract: ")[2]


def test_a_base_that_cannot_be_reached_is_left_out(bases: Bases, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (bases.archive, bases.crawled):
        (folder / f"{DAY}-4.json.gz").unlink()
    gone = bases.crawled.rename(bases.crawled.with_name("gone"))
    (row,) = bases.extract()
    assert (row["verdict"], row["hours_missing"]) == ("partial", [4])
    message = (
        f"    2015-01-10: a source was not used, because of an error: {bases.address(1)} is not a folder"
    )
    assert message in capsys.readouterr().out
    for hour in range(24):
        write(bases.archive, NEXT, hour, watched(24 + hour, 1))
    assert [row["day"] for row in bases.extract(NEXT)] == [NEXT]
    message = (
        f"2015-01-10 is not complete, and it could not be checked again: {bases.address(1)} is not a folder"
    )
    assert message in capsys.readouterr().out

    bases.archive.rename(bases.archive.with_name("archived"))
    with pytest.raises(SourceError, match="archive is not a folder or does not exist"):
        bases.extract()
    with pytest.raises(SourceError, match="archive is not a folder or does not exist"):
        ready(bases.settings, DAY)
    gone.rename(bases.crawled)
    assert ready(bases.settings, DAY)["ready"]
    assert bases.extract()[0]["hour_sources"][3] == bases.name(0)  # the batch in the lake is kept
    (row,) = bases.extract(again=True)
    assert row["hour_sources"] == [*[bases.name(1)] * 4, "", *[bases.name(1)] * 19]
    message = (
        f"    2015-01-10: a source was not used, because of an error: {bases.address(0)} is not a folder"
    )
    assert message in capsys.readouterr().out
    with pytest.raises(SourceError, match="archive is not a folder or does not exist"):
        bases.extract(DAY - timedelta(days=40))


def test_a_file_under_another_name_is_reported(bases: Bases, capsys: pytest.CaptureFixture[str]) -> None:
    (bases.archive / f"{DAY}-4.json.gz").rename(bases.archive / f"{DAY}-4.json.gz.part")
    bases.extract()
    assert (
        "    2015-01-10: files that were not read, because of their names: "
        f"{bases.address(0)}/2015-01-10-4.json.gz.part. Expected one file per hour, with names like "
        "2015-01-01-3.json.gz\n"
    ) in capsys.readouterr().out


def test_a_thin_hour_is_replaced_by_a_better_one_but_never_by_a_worse_one(bases: Bases) -> None:
    usual_days(bases.settings)
    for hour in range(24):
        write(bases.archive, DAY, hour, watched(hour, USUAL))
        write(bases.archive, NEXT, hour, watched(24 + hour, USUAL))
    write(bases.archive, DAY, 4, watched(4, 3))
    for number in range(4, 7):
        (bases.crawled / f"{DAY}-{number}.json.gz").unlink()
    (row,) = bases.extract()
    assert row["reason"] == "3 events in hour 4 where 60 are usual"
    for number in range(4, 7):
        write(bases.crawled, DAY, number, watched(number, USUAL))
    rows = bases.extract(NEXT)
    assert [(row["day"], row["verdict"]) for row in rows] == [(DAY, "complete"), (NEXT, "complete")]
    assert rows[0]["hour_sources"][4] == bases.name(1)
    (bases.crawled / f"{DAY}-4.json.gz").unlink()
    write(bases.archive, DAY, 4, watched(4, 4))
    (row,) = bases.extract()
    assert (row["verdict"], row["events_per_hour"][4]) == ("complete", USUAL)
