"""The options for days."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pipeline.cli.options import parse_day, parse_days
from pipeline.errors import UsageError


@pytest.mark.parametrize("text", ["2015-02-28", "20150228", "2015-W09-6"])
def test_a_day_is_accepted_in_every_iso_form(text: str) -> None:
    assert parse_day(text, "--day") == date(2015, 2, 28)


@pytest.mark.parametrize("text", ["2015-02-29", "01/02/2015", "yesterday", ""])
def test_text_that_is_not_a_day_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=rf"^--from {text} is not a day\.\nWrite days as YYYY-MM-DD"):
        parse_day(text, "--from")


def test_a_future_day_is_refused() -> None:
    tomorrow = date.today() + timedelta(days=1)
    with pytest.raises(UsageError, match=rf"^--day {tomorrow} is in the future; today is {date.today()}\."):
        parse_day(str(tomorrow), "--day")


def test_days_are_one_day_or_all_from_the_first_to_the_last() -> None:
    assert parse_days("2015-02-28", None, None) == [date(2015, 2, 28)]
    assert parse_days(None, "2015-02-28", "2015-03-01") == [date(2015, 2, 28), date(2015, 3, 1)]
    assert parse_days(None, "2015-02-28", "2015-02-28") == [date(2015, 2, 28)]


DAY = "2015-01-01"


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        (None, None, None),
        (DAY, DAY, None),
        (DAY, None, DAY),
        (DAY, DAY, DAY),
        (None, DAY, None),
        (None, None, DAY),
    ],
)
def test_neither_and_both_ways_to_give_days_are_refused(
    day: str | None, first: str | None, last: str | None
) -> None:
    with pytest.raises(UsageError, match=r"^Give either --day or both --from and --to\.\n"):
        parse_days(day, first, last)


def test_days_in_the_wrong_order_are_refused_with_the_right_one() -> None:
    message = (
        r"^--from 2015-01-02 comes after --to 2015-01-01\.\nSwap them: --from 2015-01-01 --to 2015-01-02$"
    )
    with pytest.raises(UsageError, match=message):
        parse_days(None, "2015-01-02", "2015-01-01")
