"""The neighbours that a release stores for an issue, and what they depend on."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.index.neighbours import NeighbourDay, SearchParameters, plan_neighbours
from pipeline.index.ordering import DEFAULT_MIN_PROBABILITY, DEFAULT_ORDERING
from pipeline.index.segment_terms import TERMS_VERSION
from pipeline.settings import Similar
from tests.index.test_segment_plan import day

PARAMETERS = SearchParameters(10, 0.7, 24)


def planned(days: Mapping[str, int], recompute_days: int = 31, months: int = 24) -> dict[str, NeighbourDay]:
    """What the neighbours of each day depend on. `days` maps days to numbers of issues."""
    parameters = SearchParameters(10, 0.7, months)
    plans = plan_neighbours([day(name, issues) for name, issues in days.items()], parameters, recompute_days)
    return {plan.day.day: plan for plan in plans}


def test_the_neighbours_of_a_day_depend_on_the_days_up_to_recompute_days_before_it() -> None:
    days = planned({"2015-01-01": 1, "2015-01-03": 1, "2015-01-04": 1}, recompute_days=2)
    assert [days[name].inputs for name in days] == [
        ("i2015-01-01", "e2015-01-01"),
        ("i2015-01-01", "e2015-01-01", "i2015-01-03", "e2015-01-03"),
        ("i2015-01-03", "e2015-01-03", "i2015-01-04", "e2015-01-04"),
    ]


def test_they_depend_on_the_duplicate_openings_of_these_days() -> None:
    days = [day("2015-01-01", 2, (1,)), day("2015-01-02", 2, (2,)), day("2015-01-03", 2, (3,))]
    assert plan_neighbours(days, PARAMETERS, 1)[-1].parameters == {
        "neighbours": 10,
        "near_duplicate_distance": 0.7,
        "months": 24,
        "ordering": DEFAULT_ORDERING.version,
        "terms": TERMS_VERSION,
        "superseded": {"2015-01-02": [2], "2015-01-03": [3]},
    }


def test_a_day_says_how_many_days_and_issues_were_searched() -> None:
    days = planned({"2014-12-31": 8, "2015-01-01": 4, "2015-03-30": 2, "2015-03-31": 1}, months=2)
    history = [tuple(days[name].figures.values()) for name in days]
    assert history == [(1, 8, 1, 8), (2, 12, 2, 12), (2, 6, 3, 14), (3, 7, 4, 15)]
    assert list(days["2015-03-31"].figures) == ["history_days", "history_issues", "all_days", "all_issues"]


def test_issues_are_suggested_from_the_probability_that_was_chosen_with_the_weights() -> None:
    assert Similar().min_probability == DEFAULT_MIN_PROBABILITY
