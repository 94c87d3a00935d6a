"""The verdict on a source day and its reasons, from the counts of the day and of the days before it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from pipeline.source.day_verdict import (
    DayCounts,
    JudgedDay,
    Judgement,
    UsualCounts,
    Verdict,
    judge,
    usual_counts,
)

SATURDAY, SUNDAY, MONDAY = date(2015, 1, 3), date(2015, 1, 4), date(2015, 1, 5)
USUAL = DayCounts(hours_found=24, events=1000, malformed=0, issues=100)


def counts_of(hours_found: int = 24, events: int = 1000, malformed: int = 0, issues: int = 100) -> DayCounts:
    return DayCounts(hours_found, events, malformed, issues)


def before(
    day: date, days: Iterable[int], events: int = 1000, issues: int = 100, verdict: str = "complete"
) -> dict[date, JudgedDay]:
    """Judged days with equal counts. `days` says how many days before `day` each of them is."""
    return {day - timedelta(days=back): JudgedDay(verdict, events, issues) for back in days}


EIGHT_WEEKS = before(SATURDAY, range(7, 57, 7))


@pytest.mark.parametrize(
    ("counts", "verdict", "reasons"),
    [
        (counts_of(), "complete", ()),
        (counts_of(events=101, issues=11), "complete", ()),
        (counts_of(events=100), "collapsed", ("100 events where 1,000 are usual for a Saturday",)),
        (counts_of(issues=11), "complete", ()),
        (counts_of(issues=10), "collapsed", ("10 issues where 100 are usual for a Saturday",)),
        (
            counts_of(events=5000, issues=1),  # as in May 2025, when GH Archive lost issues but not pushes
            "collapsed",
            ("1 issue where 100 are usual for a Saturday",),
        ),
        (
            counts_of(events=1, issues=0),
            "collapsed",
            ("1 event where 1,000 are usual for a Saturday", "0 issues where 100 are usual for a Saturday"),
        ),
        (counts_of(events=9000, issues=900), "complete", ()),  # more than usual is not a fault
        (counts_of(23), "partial", ("23 of 24 hours found",)),
        (counts_of(12, events=500, issues=50), "partial", ("12 of 24 hours found",)),
        (
            counts_of(2, events=90),
            "collapsed",
            ("90 events where 1,000 are usual for a Saturday",),
        ),
        (counts_of(0, events=0, issues=0), "missing", ("no hour of 24 found",)),
        (counts_of(events=960, malformed=39), "complete", ()),
        (
            counts_of(events=920, malformed=40),  # exactly 1/24, the share of an hour
            "partial",
            ("40 of 960 lines malformed",),
        ),
        (
            counts_of(23, events=500, malformed=500),
            "partial",
            ("23 of 24 hours found", "500 of 1,000 lines malformed"),
        ),
        (counts_of(events=101, malformed=899), "partial", ("899 of 1,000 lines malformed",)),
        (
            counts_of(events=100, malformed=900),
            "collapsed",
            ("100 events where 1,000 are usual for a Saturday", "900 of 1,000 lines malformed"),
        ),
    ],
)
def test_the_verdict_if_1000_events_and_100_issues_are_usual(
    counts: DayCounts, verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    usual = UsualCounts(1000, 100, "weekday")
    assert judge(SATURDAY, counts, EIGHT_WEEKS) == Judgement(verdict, reasons, usual)


def test_reasons_are_joined_in_one_line() -> None:
    assert judge(SATURDAY, counts_of(), EIGHT_WEEKS).reason is None
    assert (
        judge(SATURDAY, counts_of(23, malformed=250), EIGHT_WEEKS).reason
        == "23 of 24 hours found, 250 of 1,250 lines malformed"
    )


@pytest.mark.parametrize(
    ("counts", "verdict", "reasons"),
    [
        (counts_of(events=1, issues=1), "complete", ()),  # nothing to compare with
        (counts_of(events=0, issues=0), "complete", ()),
        (counts_of(3, events=1, issues=1), "partial", ("3 of 24 hours found",)),
        (
            counts_of(events=100, malformed=900),
            "collapsed",
            ("900 of 1,000 lines malformed",),  # this rule needs no earlier days
        ),
        (counts_of(events=0, malformed=9), "complete", ()),  # too few lines for a verdict
    ],
)
def test_the_verdict_on_a_day_without_earlier_days(
    counts: DayCounts, verdict: str, reasons: tuple[str, ...]
) -> None:
    assert judge(SATURDAY, counts, {}) == Judgement(verdict, reasons, None)  # type: ignore[arg-type]


def test_a_day_is_compared_with_the_last_eight_days_of_the_same_weekday() -> None:
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
def test_with_fewer_than_three_days_of_the_same_weekday_a_day_is_compared_with_the_month(
    weeks: int, expected: UsualCounts
) -> None:
    month = before(SATURDAY, [back for back in range(1, 29) if back % 7], events=2000, issues=200)
    assert usual_counts(SATURDAY, {**month, **before(SATURDAY, range(7, 7 * weeks + 1, 7))}) == expected


@pytest.mark.parametrize(("days", "is_enough"), [(7, True), (6, False)])
def test_a_day_is_compared_with_a_month_of_at_least_seven_complete_days(days: int, is_enough: bool) -> None:
    assert usual_counts(SATURDAY, before(SATURDAY, range(1, days + 1))) == (
        UsualCounts(1000, 100, "month") if is_enough else None
    )


def test_the_reason_names_no_weekday_if_the_day_is_compared_with_the_month() -> None:
    judgement = judge(SATURDAY, counts_of(issues=3), before(SATURDAY, range(1, 8)))
    assert judgement.reasons == ("3 issues where 100 are usual",)


def test_the_month_is_the_28_days_before() -> None:
    assert usual_counts(SATURDAY, before(SATURDAY, range(22, 29))) == UsualCounts(1000, 100, "month")
    assert usual_counts(SATURDAY, before(SATURDAY, range(23, 30))) is None


def test_only_complete_days_count_as_usual() -> None:
    partial = before(SATURDAY, range(7, 57, 7), events=10, issues=1, verdict="partial")
    assert usual_counts(SATURDAY, partial) is None
    assert usual_counts(SATURDAY, {**partial, **before(SATURDAY, (63, 70, 77))}) == UsualCounts(
        1000, 100, "weekday"
    )


def test_a_day_is_not_compared_with_itself_or_with_later_days() -> None:
    assert usual_counts(SATURDAY, before(SATURDAY, range(0, -60, -1))) is None


def test_a_weekend_is_not_compared_with_working_days() -> None:
    week = {MONDAY - timedelta(days=back): JudgedDay("complete", 10_000, 1000) for back in range(1, 60)}
    weekend = {day: JudgedDay("complete", 900, 90) for day in week if day.weekday() >= 5}
    assert judge(SUNDAY, counts_of(events=900, issues=90), {**week, **weekend}).verdict == "complete"
    assert judge(MONDAY, counts_of(events=900, issues=90), {**week, **weekend}).reasons == (
        "900 events where 10,000 are usual for a Monday",
        "90 issues where 1,000 are usual for a Monday",
    )


def test_a_quiet_holiday_is_complete_and_does_not_change_the_usual_counts() -> None:
    assert judge(SATURDAY, counts_of(events=400, issues=20), EIGHT_WEEKS).verdict == "complete"
    holiday = {**EIGHT_WEEKS, SATURDAY - timedelta(weeks=1): JudgedDay("complete", 400, 20)}
    assert usual_counts(SATURDAY, holiday) == UsualCounts(1000, 100, "weekday")


def test_a_drop_that_can_be_chance_is_not_a_collapse() -> None:
    nine, ten = (before(SATURDAY, range(7, 57, 7), issues=issues) for issues in (9, 10))
    assert judge(SATURDAY, counts_of(issues=0), nine).verdict == "complete"
    assert judge(SATURDAY, counts_of(issues=1), ten).reasons == ("1 issue where 10 are usual for a Saturday",)


def judge_in_turn(first: date, counts: Iterable[DayCounts], history: dict[date, JudgedDay]) -> list[str]:
    """The verdicts on consecutive days from `first`. Each judged day is added to `history`."""
    verdicts: list[str] = []
    for number, day_counts in enumerate(counts):
        day = first + timedelta(days=number)
        verdict = judge(day, day_counts, history).verdict
        history[day] = JudgedDay(verdict, day_counts.events, day_counts.issues)
        verdicts.append(verdict)
    return verdicts


@pytest.mark.parametrize("days_before", [7, 20, 60, 365])
@pytest.mark.parametrize(
    "collapsed",
    [counts_of(events=50), counts_of(issues=5), counts_of(20, issues=5)],
    ids=["few events", "few issues", "few issues and 20 hours"],
)
def test_a_collapse_that_lasts_a_year_never_becomes_usual(days_before: int, collapsed: DayCounts) -> None:
    history: dict[date, JudgedDay] = {}
    assert judge_in_turn(date(2024, 5, 1), [USUAL] * days_before, history) == ["complete"] * days_before
    after = date(2024, 5, 1) + timedelta(days=days_before)
    assert judge_in_turn(after, [collapsed] * 365, history) == ["collapsed"] * 365
    assert judge_in_turn(after + timedelta(days=365), [USUAL] * 30, history) == ["complete"] * 30


def test_after_missing_months_a_day_is_compared_with_the_days_before_those_months() -> None:
    history: dict[date, JudgedDay] = {}
    judge_in_turn(date(2024, 1, 1), [USUAL] * 30, history)
    assert (
        judge_in_turn(date(2024, 1, 31), [counts_of(0, events=0, issues=0)] * 100, history)
        == ["missing"] * 100
    )
    assert judge_in_turn(date(2024, 5, 10), [counts_of(issues=5), USUAL], history) == [
        "collapsed",
        "complete",
    ]


def test_after_a_collapse_lower_counts_can_become_usual() -> None:
    history: dict[date, JudgedDay] = {}
    judge_in_turn(date(2024, 1, 1), [USUAL] * 60, history)
    judge_in_turn(date(2024, 3, 1), [counts_of(issues=5)] * 60, history)
    assert (
        judge_in_turn(date(2024, 4, 30), [counts_of(events=400, issues=30)] * 60, history)
        == ["complete"] * 60
    )
    assert usual_counts(date(2024, 6, 29), history) == UsualCounts(400, 30, "weekday")


def test_a_day_is_not_compared_across_two_months_that_were_never_extracted() -> None:
    assert usual_counts(SATURDAY, before(SATURDAY, range(56, 112, 7))) == UsualCounts(1000, 100, "weekday")
    assert usual_counts(SATURDAY, before(SATURDAY, range(63, 120, 7))) is None


def test_the_first_day_of_the_calendar_has_no_earlier_days() -> None:
    assert usual_counts(date.min, {}) is None


def hours_of(events: int, **others: int) -> tuple[int, ...]:
    """The events of 24 hours. `others` has those of single hours, as `hour_7=1`."""
    return tuple(others.get(f"hour_{hour}", events) for hour in range(24))


def usual_hours(*per_hour: tuple[int, ...], verdict: str = "complete") -> dict[date, JudgedDay]:
    """Judged Saturdays before SATURDAY, with these events per hour."""
    return {
        SATURDAY - timedelta(weeks=weeks): JudgedDay(verdict, 2400, 100, events)
        for weeks, events in enumerate(per_hour, 1)
    }


@pytest.mark.parametrize(
    ("events_per_hour", "verdict", "reasons"),
    [
        (hours_of(100), "complete", ()),
        (hours_of(100, hour_7=11), "complete", ()),
        (hours_of(100, hour_7=10), "partial", ("10 events in hour 7 where 100 are usual",)),
        (hours_of(100, hour_0=1), "partial", ("1 event in hour 0 where 100 are usual",)),
        (
            (*[1] * 10, *[100] * 14),
            "partial",
            ("10 events in hours 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 where 1,000 are usual",),
        ),
        (hours_of(900), "complete", ()),  # more than usual is not a fault
        ((), "complete", ()),  # an earlier version extracted the day
    ],
)
def test_each_hour_is_compared_with_the_same_hour_of_other_days(
    events_per_hour: tuple[int, ...], verdict: str, reasons: tuple[str, ...]
) -> None:
    counts = DayCounts(24, 2400, 0, 100, events_per_hour=events_per_hour)
    judgement = judge(SATURDAY, counts, usual_hours(*[hours_of(100)] * 3))
    assert (judgement.verdict, judgement.reasons) == (verdict, reasons)


def test_an_hour_without_events_is_a_missing_hour() -> None:
    counts = DayCounts(23, 2300, 0, 100, events_per_hour=hours_of(100, hour_4=0))
    assert judge(SATURDAY, counts, usual_hours(*[hours_of(100)] * 3)).reasons == ("23 of 24 hours found",)


def test_a_drop_of_an_hour_that_can_be_chance_is_not_a_fault() -> None:
    quiet, busy = ([hours_of(100, hour_3=usual)] * 3 for usual in (49, 50))
    counts = DayCounts(24, 2300, 0, 100, events_per_hour=hours_of(100, hour_3=1))
    assert judge(SATURDAY, counts, usual_hours(*quiet)).verdict == "complete"
    assert judge(SATURDAY, counts, usual_hours(*busy)).reasons == ("1 event in hour 3 where 50 are usual",)


def test_the_usual_events_of_an_hour_are_the_median_of_complete_days() -> None:
    history = usual_hours(hours_of(80), hours_of(100), hours_of(900))
    judged = usual_counts(SATURDAY, history)
    assert judged is not None
    assert judged.events_per_hour == hours_of(100)
    assert usual_counts(SATURDAY, usual_hours(*[hours_of(100)] * 3, verdict="partial")) is None


def test_hours_are_not_compared_with_days_that_an_earlier_version_extracted() -> None:
    judged = usual_counts(SATURDAY, usual_hours((), (), (), hours_of(100), hours_of(100)))
    assert judged == UsualCounts(2400, 100, "weekday", ())


def test_a_day_whose_hours_have_collapsed_does_not_become_usual() -> None:
    thin = DayCounts(24, 1410, 0, 100, events_per_hour=(*[1] * 10, *[100] * 14))
    history: dict[date, JudgedDay] = {}
    for number in range(60):
        day = date(2024, 5, 1) + timedelta(days=number)
        counts = DayCounts(24, 2400, 0, 100, events_per_hour=hours_of(100)) if number < 20 else thin
        verdict = judge(day, counts, history).verdict
        history[day] = JudgedDay(verdict, counts.events, counts.issues, counts.events_per_hour)
    assert [judged.verdict for judged in history.values()] == ["complete"] * 20 + ["partial"] * 40


@pytest.mark.parametrize(
    ("malformed", "issues", "verdict", "reasons"),
    [
        (9, 231, "complete", ()),
        (10, 230, "partial", ("10 of 240 opened issues malformed",)),  # exactly 1/24
        (210, 30, "partial", ("210 of 240 opened issues malformed",)),
        (216, 24, "collapsed", ("216 of 240 opened issues malformed",)),
        (240, 0, "collapsed", ("240 of 240 opened issues malformed",)),
        (9, 0, "complete", ()),  # too few for a verdict
    ],
)
def test_malformed_issues_are_compared_with_all_opened_issues(
    malformed: int, issues: int, verdict: str, reasons: tuple[str, ...]
) -> None:
    counts = DayCounts(24, 100_000, malformed, issues, malformed_issues=malformed)
    assert judge(SATURDAY, counts, {}) == Judgement(verdict, reasons, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hours_found", "unreadable", "verdict", "reasons"),
    [
        (
            19,
            (2, 5, 9, 11, 13),
            "partial",
            ("19 of 24 hours found", "no event could be read from the files of hours 2, 5, 9, 11, 13"),
        ),
        (
            22,
            (4,),  # of another hour there is no file
            "partial",
            ("22 of 24 hours found", "no event could be read from the files of hour 4"),
        ),
        (
            0,
            (0, 1),
            "missing",
            ("no hour of 24 found", "no event could be read from the files of hours 0, 1"),
        ),
    ],
)
def test_hours_whose_file_has_no_event_are_named(
    hours_found: int, unreadable: tuple[int, ...], verdict: str, reasons: tuple[str, ...]
) -> None:
    counts = DayCounts(hours_found, 1000, 0, 100, hours_unreadable=unreadable)
    assert judge(SATURDAY, counts, {}) == Judgement(verdict, reasons, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hours_found", "verdict", "reasons"),
    [
        (24, "complete", ()),  # other bases have all hours
        (23, "partial", ("23 of 24 hours found", "crawled could not be read")),
        (0, "missing", ("no hour of 24 found", "crawled could not be read")),
    ],
)
def test_a_day_that_is_not_complete_names_the_bases_that_could_not_be_read(
    hours_found: int, verdict: str, reasons: tuple[str, ...]
) -> None:
    counts = DayCounts(hours_found, 1000, 0, 100, unreachable_bases=("crawled",))
    assert judge(SATURDAY, counts, {}) == Judgement(verdict, reasons, None)  # type: ignore[arg-type]
