"""Which days form which segment of a release's index."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.index.release_days import IndexedDay
from pipeline.index.segment_plan import SegmentPlan, plan_segments
from pipeline.index.segment_terms import TERMS_VERSION
from pipeline.lake.manifest import Manifest
from pipeline.settings import Index


def day(name: str, issues: int = 1, superseded: tuple[int, ...] = ()) -> IndexedDay:
    """A day with this number of rows in embeddings_v1."""
    opened = Manifest("issues_v1", {}, "", "", f"i{name}", issues, (), (), {}, {}, "")
    embeddings = Manifest("embeddings_v1", {}, "", "", f"e{name}", issues, (), (), {}, {}, "")
    return IndexedDay(name, opened, embeddings, superseded)


def segments(days: Mapping[str, int], **settings: int) -> dict[str, list[str]]:
    """The days of each segment, by period and group of repositories."""
    plans = plan_segments([day(name, issues) for name, issues in days.items()], Index(**settings))
    return {
        "/".join(list(plan.partition("m").values())[1:]): [each.day for each in plan.days] for plan in plans
    }


def plan_of(*days: IndexedDay, **settings: int) -> SegmentPlan:
    (plan,) = plan_segments(days, Index(**settings))
    return plan


def test_a_segment_has_the_days_of_a_month() -> None:
    assert segments({"2015-01-01": 1, "2015-01-31": 1, "2015-02-01": 1}) == {
        "2015-01/1-of-1": ["2015-01-01", "2015-01-31"],
        "2015-02/1-of-1": ["2015-02-01"],
    }


def test_the_months_of_a_closed_year_are_merged() -> None:
    assert segments({"2015-01-01": 1, "2015-02-01": 1, "2016-01-01": 1, "2016-02-01": 1}) == {
        "2015/1-of-1": ["2015-01-01", "2015-02-01"],
        "2016-01/1-of-1": ["2016-01-01"],
        "2016-02/1-of-1": ["2016-02-01"],
    }


def test_a_large_month_is_split_by_repository() -> None:
    assert segments({"2015-01-01": 8, "2015-01-02": 3}, segment_items=5) == {
        "2015-01/1-of-3": ["2015-01-01", "2015-01-02"],
        "2015-01/2-of-3": ["2015-01-01", "2015-01-02"],
        "2015-01/3-of-3": ["2015-01-01", "2015-01-02"],
    }


def test_a_closed_year_is_merged_only_if_it_then_has_fewer_segments() -> None:
    days = {"2015-01-01": 4, "2015-02-01": 4, "2015-03-01": 1, "2016-01-01": 1}
    assert list(segments(days, segment_items=5)) == ["2015/1-of-2", "2015/2-of-2", "2016-01/1-of-1"]
    assert list(segments(days, segment_items=4)) == [
        "2015-01/1-of-1",
        "2015-02/1-of-1",
        "2015-03/1-of-1",
        "2016-01/1-of-1",
    ]


def test_a_month_without_issues_has_no_segment() -> None:
    assert segments({"2015-01-01": 0, "2015-02-01": 1}) == {"2015-02/1-of-1": ["2015-02-01"]}


def test_a_segment_with_more_issues_than_are_searched_exactly_gets_an_annoy_index() -> None:
    assert plan_of(day("2015-01-01", 3), exact_items=3).annoy is None
    assert plan_of(day("2015-01-01", 4), exact_items=3, trees=7).annoy == {
        "trees": 7,
        "search_k": 10_000,
        "seed": 42,
    }
    assert plan_of(day("2015-01-01", 4, superseded=(9,)), exact_items=3).annoy is None


def test_a_segment_depends_on_its_days_and_their_duplicate_openings_only() -> None:
    days = [day("2015-01-01"), day("2015-01-02", 2, (7,)), day("2015-02-01", 2, (8,))]
    january, _ = plan_segments(days, Index())
    assert january.inputs == ["i2015-01-01", "e2015-01-01", "i2015-01-02", "e2015-01-02"]
    assert january.parameters == {"superseded": {"2015-01-02": [7]}, "annoy": None, "terms": TERMS_VERSION}
    assert plan_segments(days[:2], Index(trees=99)) == [january]
