"""What a source day is worth, and why: figures in, verdict and reasons out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from pipeline.source.day_verdict import DayCounts, JudgedDay, Judgement, UsualCounts, Verdict, judge, usual_counts

SATURDAY, SUNDAY, MONDAY = date(2015, 1, 3), date(2015, 1, 4), date(2015, 1, 5)
USUAL = DayCounts(hours_found=24, events=1000, malformed=0, issues=100)


def counted(hours_found: int = 24, events: int = 1000, malformed: int = 0, issues: int = 100) -> DayCounts:
    return DayCounts(hours_found, events, malformed, issues)


def before(
    day: date, days: Iterable[int], events: int = 1000, issues: int = 100, verdict: str = "complete"
) -> dict[date, JudgedDay]:
    """Days so many before `day`, all alike."""
    return {day - timedelta(days=back): JudgedDay(verdict, events, issues) for back in days}


EIGHT_WEEKS = before(SATURDAY, range(7, 57, 7))
MONTH = before(SATURDAY, range(1, 29), events=2000, issues=200)


@pytest.mark.parametrize(
    ("counts", "verdict", "reasons"),
    [
        (counted(), "complete", ()),
        (counted(events=101, issues=11), "complete", ()),
        (counted(events=100), "collapsed", ("100 events where 1,000 are usual for a Saturday",)),
        (counted(issues=11), "complete", ()),
        (counted(issues=10), "collapsed", ("10 issues where 100 are usual for a Saturday",)),
        (
            counted(events=5000, issues=1),
            "collapsed",
            ("1 issue where 100 are usual for a Saturday",),
        ),  # May 2025: the pushes stay
        (
            counted(events=1, issues=0),
            "collapsed",
            ("1 event where 1,000 are usual for a Saturday", "0 issues where 100 are usual for a Saturday"),
        ),
        (counted(events=9000, issues=900), "complete", ()),  # growth is no fault
        (counted(23), "partial", ("23 of 24 hours found",)),
        (counted(12, events=500, issues=50), "partial", ("12 of 24 hours found",)),
        (
            counted(2, events=90),
            "collapsed",
            ("90 events where 1,000 are usual for a Saturday",),
        ),  # what is left is no day
        (counted(0, events=0, issues=0), "missing", ("no hour of 24 found",)),
        (counted(events=960, malformed=39), "complete", ()),
        (
            counted(events=920, malformed=40),
            "partial",
            ("40 of 960 lines malformed",),
        ),  # as many as an hour has
        (
            counted(23, events=500, malformed=500),
            "partial",
            ("23 of 24 hours found", "500 of 1,000 lines malformed"),
        ),
        (counted(events=101, malformed=899), "partial", ("899 of 1,000 lines malformed",)),
        (
            counted(events=100, malformed=900),
            "collapsed",
            ("100 events where 1,000 are usual for a Saturday", "900 of 1,000 lines malformed"),
        ),
    ],
)
def test_a_saturday_where_1000_events_and_100_issues_are_usual(
    counts: DayCounts, verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    usual = UsualCounts(1000, 100, "weekday")
    assert judge(SATURDAY, counts, EIGHT_WEEKS) == Judgement(verdict, reasons, usual)


def test_reasons_read_as_one_sentence() -> None:
    assert judge(SATURDAY, counted(), EIGHT_WEEKS).reason is None
    assert (
        judge(SATURDAY, counted(23, malformed=250), EIGHT_WEEKS).reason
        == "23 of 24 hours found, 250 of 1,250 lines malformed"
    )


@pytest.mark.parametrize(
    ("counts", "verdict", "reasons"),
    [
        (counted(events=1, issues=1), "complete", ()),  # nobody knows better
        (counted(events=0, issues=0), "complete", ()),
        (counted(3, events=1, issues=1), "partial", ("3 of 24 hours found",)),
        (
            counted(events=100, malformed=900),
            "collapsed",
            ("900 of 1,000 lines malformed",),
        ),  # the lines themselves say what is lost
        (counted(events=0, malformed=9), "complete", ()),  # fewer than ten lines say nothing
    ],
)
def test_a_first_day_without_history(found: DayCounts, verdict: str, reasons: tuple[str, ...]) -> None:
    assert judge(SATURDAY, found, {}) == Judgement(verdict, reasons, None)  # type: ignore[arg-type]


def test_a_weekday_is_held_against_its_last_eight() -> None:
    weeks = {
        SATURDAY - timedelta(weeks=back): JudgedDay("complete", 100 * back, back) for back in range(1, 12)
    }
    assert usual_counts(SATURDAY, weeks) == UsualCounts(
        450, 4, "weekday"
    )  # the median of 100 to 800, and of 1 to 8


@pytest.mark.parametrize(
    ("weeks", "expected"),
    [
        (3, UsualCounts(1000, 100, "weekday")),
        (2, UsualCounts(2000, 200, "month")),
    ],
)
def test_of_fewer_than_three_of_the_weekday_the_month_decides(weeks: int, expected: UsualCounts) -> None:
    month = before(SATURDAY, [back for back in range(1, 29) if back % 7], events=2000, issues=200)
    assert usual_counts(SATURDAY, {**month, **before(SATURDAY, range(7, 7 * weeks + 1, 7))}) == expected


@pytest.mark.parametrize(("days", "known"), [(7, True), (6, False)])
def test_a_month_needs_seven_complete_days(days: int, known: bool) -> None:
    assert usual_counts(SATURDAY, before(SATURDAY, range(1, days + 1))) == (
        UsualCounts(1000, 100, "month") if known else None
    )


def test_a_month_does_not_say_for_which_weekday_it_is_usual() -> None:
    judgement = judge(SATURDAY, counted(issues=3), before(SATURDAY, range(1, 8)))
    assert judgement.reasons == ("3 issues where 100 are usual",)


def test_a_month_ends_after_28_days() -> None:
    assert usual_counts(SATURDAY, before(SATURDAY, range(22, 29))) == UsualCounts(1000, 100, "month")
    assert usual_counts(SATURDAY, before(SATURDAY, range(23, 30))) is None


def test_only_complete_days_say_what_is_usual() -> None:
    partial = before(SATURDAY, range(7, 57, 7), events=10, issues=1, verdict="partial")
    assert usual_counts(SATURDAY, partial) is None
    assert usual_counts(SATURDAY, {**partial, **before(SATURDAY, (63, 70, 77))}) == UsualCounts(
        1000, 100, "weekday"
    )


def test_later_days_and_the_day_itself_do_not_count() -> None:
    assert usual_counts(SATURDAY, before(SATURDAY, range(0, -60, -1))) is None


def test_a_weekend_is_held_against_weekends() -> None:
    week = {MONDAY - timedelta(days=back): JudgedDay("complete", 10_000, 1000) for back in range(1, 60)}
    weekend = {day: JudgedDay("complete", 900, 90) for day in week if day.weekday() >= 5}
    assert judge(SUNDAY, counted(events=900, issues=90), {**week, **weekend}).verdict == "complete"
    assert judge(MONDAY, counted(events=900, issues=90), {**week, **weekend}).reasons == (
        "900 events where 10,000 are usual for a Monday",
        "90 issues where 1,000 are usual for a Monday",
    )


def test_a_holiday_is_quiet_and_complete_and_moves_nothing() -> None:
    assert judge(SATURDAY, counted(events=400, issues=20), EIGHT_WEEKS).verdict == "complete"
    holiday = {**EIGHT_WEEKS, SATURDAY - timedelta(weeks=1): JudgedDay("complete", 400, 20)}
    assert usual_counts(SATURDAY, holiday) == UsualCounts(1000, 100, "weekday")


def test_so_few_that_chance_alone_empties_a_day_are_not_held_against_it() -> None:
    nine, ten = (before(SATURDAY, range(7, 57, 7), issues=issues) for issues in (9, 10))
    assert judge(SATURDAY, counted(issues=0), nine).verdict == "complete"
    assert judge(SATURDAY, counted(issues=1), ten).reasons == ("1 issue where 10 are usual for a Saturday",)


def calls(first: date, counts: Iterable[DayCounts], history: dict[date, JudgedDay]) -> list[str]:
    """The verdicts on one day after another; each becomes history for the next."""
    verdicts: list[str] = []
    for back, found in enumerate(counts):
        day = first + timedelta(days=back)
        verdict = judge(day, found, history).verdict
        history[day] = JudgedDay(verdict, found.events, found.issues)
        verdicts.append(verdict)
    return verdicts


@pytest.mark.parametrize("days_known", [7, 20, 60, 365])
@pytest.mark.parametrize(
    "fallen",
    [counted(events=50), counted(issues=5), counted(20, issues=5)],
    ids=["events", "issues", "hours too"],
)
def test_a_collapse_that_lasts_a_year_never_becomes_usual_and_ends_with_the_first_whole_day(
    days_known: int, fallen: DayCounts
) -> None:
    history: dict[date, JudgedDay] = {}
    assert calls(date(2024, 5, 1), [USUAL] * days_known, history) == ["complete"] * days_known
    after = date(2024, 5, 1) + timedelta(days=days_known)
    assert calls(after, [fallen] * 365, history) == ["collapsed"] * 365
    assert calls(after + timedelta(days=365), [USUAL] * 30, history) == ["complete"] * 30


def test_a_source_that_was_gone_for_months_is_held_against_what_was_before() -> None:
    history: dict[date, JudgedDay] = {}
    calls(date(2024, 1, 1), [USUAL] * 30, history)
    assert calls(date(2024, 1, 31), [counted(0, events=0, issues=0)] * 100, history) == ["missing"] * 100
    assert calls(date(2024, 5, 10), [counted(issues=5), USUAL], history) == ["collapsed", "complete"]


def test_a_source_that_comes_back_smaller_is_complete_and_soon_usual() -> None:
    history: dict[date, JudgedDay] = {}
    calls(date(2024, 1, 1), [USUAL] * 60, history)
    calls(date(2024, 3, 1), [counted(issues=5)] * 60, history)
    assert calls(date(2024, 4, 30), [counted(events=400, issues=30)] * 60, history) == ["complete"] * 60
    assert usual_counts(date(2024, 6, 29), history) == UsualCounts(400, 30, "weekday")


def test_what_lies_beyond_two_months_that_were_never_extracted_is_another_time() -> None:
    assert usual_counts(SATURDAY, before(SATURDAY, range(56, 112, 7))) == UsualCounts(1000, 100, "weekday")
    assert usual_counts(SATURDAY, before(SATURDAY, range(63, 120, 7))) is None


def test_the_first_days_of_the_calendar_have_no_history() -> None:
    assert usual_counts(date.min, {}) is None
