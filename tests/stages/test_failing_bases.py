"""A web server does not deliver some of its hour files: the hours are taken from the next base, or the day
is partial and is checked again."""

from __future__ import annotations

import pytest

from pipeline.errors import SourceError
from pipeline.settings import Settings, Source
from tests.support.hour_bases import DAY, NEXT, Bases, FailingHandler, watched, write


@pytest.mark.parametrize("failure", ["503", "no answer", "cut"])
def test_a_file_that_a_later_base_does_not_deliver_does_not_stop_the_day(
    served_bases: Bases, capsys: pytest.CaptureFixture[str], failure: str
) -> None:
    bases = served_bases
    (bases.archive / f"{DAY}-4.json.gz").unlink()
    FailingHandler.failing[f"/crawled/{DAY}-4.json.gz"] = failure
    (row,) = bases.extract()
    assert (row["verdict"], row["hours_missing"]) == ("partial", [4])
    assert row["reason"] == f"23 of 24 hours found, {bases.name(1)} could not be read"
    assert row["hour_sources"] == [*[bases.name(0)] * 4, "", *[bases.name(0)] * 19]
    printed = capsys.readouterr().out
    assert f"    {DAY}: a source was not used, because of an error: The hour file" in printed
    assert f"{bases.address(1)}/{DAY}-4.json.gz" in printed


def test_a_file_that_was_not_delivered_is_asked_for_again_on_later_nights(
    served_bases: Bases, capsys: pytest.CaptureFixture[str]
) -> None:
    bases = served_bases
    (bases.archive / f"{DAY}-4.json.gz").unlink()
    for hour in range(24):
        write(bases.archive, NEXT, hour, watched(24 + hour, 1))
    FailingHandler.failing[f"/crawled/{DAY}-4.json.gz"] = "503"
    bases.extract()
    assert [row["day"] for row in bases.extract(NEXT)] == [NEXT]  # no new batch without a new file
    assert "could not be checked again: The hour file" in capsys.readouterr().out
    FailingHandler.failing.clear()
    rows = bases.extract(NEXT)
    assert [(row["day"], row["verdict"]) for row in rows] == [(DAY, "complete"), (NEXT, "complete")]
    assert rows[0]["hour_sources"][4] == bases.name(1)


def test_an_hour_that_the_preferred_base_does_not_deliver_is_taken_from_the_next(
    served_bases: Bases, capsys: pytest.CaptureFixture[str]
) -> None:
    bases = served_bases
    FailingHandler.failing |= {f"/archive/{DAY}-4.json.gz": "503", f"/archive/{DAY}-5.json.gz": "no answer"}
    (row,) = bases.extract()
    taken_from_next = [hour for hour, base in enumerate(row["hour_sources"]) if base == bases.name(1)]
    assert (row["verdict"], taken_from_next) == ("complete", [4, 5])
    printed = capsys.readouterr().out
    assert f"    {DAY}: hours 4, 5 taken from {bases.name(1)}, not from {bases.name(0)}\n" in printed
    assert f"/archive/{DAY}-5.json.gz" in printed

    FailingHandler.failing[f"/crawled/{DAY}-4.json.gz"] = "503"
    with pytest.raises(SourceError, match=rf"/archive/{DAY}-4\.json\.gz was not downloaded completely: 503"):
        bases.extract(again=True)


def test_a_day_in_the_lake_stays_as_it_is_while_a_file_of_the_preferred_base_is_not_delivered(
    served_bases: Bases,
) -> None:
    bases = served_bases
    bases.extract()
    write(bases.archive, DAY, 4, watched(4, 9))
    FailingHandler.failing[f"/archive/{DAY}-4.json.gz"] = "503"
    assert bases.extract()[0]["events_per_hour"][4] == 1
    FailingHandler.failing.clear()
    assert bases.extract()[0]["events_per_hour"][4] == 9


def test_late_events_may_be_missing_if_a_later_base_does_not_deliver_a_following_file(
    served_bases: Bases,
) -> None:
    bases = served_bases
    (bases.archive / f"{DAY}-23.json.gz").unlink()
    FailingHandler.failing[f"/crawled/{NEXT}-1.json.gz"] = "503"
    (row,) = bases.extract()
    assert (row["late_hours_missing"], row["hour_sources"][23]) == ([25], bases.name(1))


def test_a_day_without_a_file_that_was_not_delivered_is_extracted_again_when_it_is(
    served_bases: Bases,
) -> None:
    bases = served_bases
    write(bases.archive, DAY, 4, watched(4, 9))
    FailingHandler.failing[f"/archive/{DAY}-4.json.gz"] = "503"
    assert [row["events_per_hour"][4] for row in bases.extract() + bases.extract()] == [1, 1]
    FailingHandler.failing.clear()
    assert bases.extract()[0]["events_per_hour"][4] == 9


def test_no_identical_batch_is_written_while_a_later_base_does_not_deliver_a_file(
    served_bases: Bases,
) -> None:
    bases = served_bases
    (bases.archive / f"{DAY}-4.json.gz").unlink()
    FailingHandler.failing[f"/crawled/{DAY}-4.json.gz"] = "503"
    bases.extract()
    before = bases.current()
    bases.extract()
    assert bases.current() == before
    other_text = bases._replace(settings=with_longer_titles(bases.settings))
    other_text.extract()
    assert bases.current() != before


def test_a_day_is_checked_again_only_once_after_a_setting_changed(bases: Bases) -> None:
    for folder in (bases.archive, bases.crawled):
        (folder / f"{DAY}-4.json.gz").unlink()
    for hour in range(24):
        write(bases.archive, NEXT, hour, watched(24 + hour, 1))
    bases.extract()
    bases = bases._replace(settings=with_longer_titles(bases.settings))
    assert [[row["day"] for row in bases.extract(NEXT)] for _ in range(2)] == [[DAY, NEXT], [NEXT]]


@pytest.mark.parametrize("failure", ["503", "no answer"])
def test_an_error_about_a_file_does_not_name_the_password_of_the_base(
    served_bases: Bases, failure: str
) -> None:
    address = served_bases.address(0)
    FailingHandler.failing[f"/archive/{DAY}-4.json.gz"] = failure
    hours = address.replace("http://", "http://user:secret@")
    settings = served_bases.settings.model_copy(update={"source": Source(hours=hours)})
    with pytest.raises(SourceError, match=f" {address}") as error:
        served_bases._replace(settings=settings).extract()
    assert "secret" not in str(error.value)


def with_longer_titles(settings: Settings) -> Settings:
    """Settings with which other issues are trainable, so that a day is extracted again."""
    return settings.model_copy(update={"text": settings.text.model_copy(update={"min_title_words": 7})})
