"""Clusters of duplicates: whatever the pairs are, a cluster has one canonical issue, which stays the same."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clusters import clusters_of
from tests.warehouse.events import DAY, pair

LIMIT = 0.5
Probabilities = list[list[float]]
"""For each issue, its probabilities with the older ones; 0 if they are no pair."""
probabilities: st.SearchStrategy[Probabilities] = st.integers(2, 9).flatmap(
    lambda count: st.tuples(
        *(
            st.lists(st.sampled_from([0, 0.2, 0.25, 0.5, 0.9]), min_size=newer, max_size=newer)
            for newer in range(count)
        )
    ).map(list)
)


def day_of(issue: int) -> date:
    """The day of an issue: every day has two."""
    return DAY + timedelta(issue // 2)


def canonical_issues(given_probabilities: Probabilities) -> dict[int, int]:
    """The canonical issue of each issue that is in a cluster. No issue may be in two."""
    pairs = [
        pair(newer, older, probability, similar_day=day_of(older), source_day=day_of(newer))
        for newer, row in enumerate(given_probabilities)
        for older, probability in enumerate(row)
        if probability
    ]
    rows = [(row["issue_id"], row["canonical_issue_id"]) for row in clusters_of(pairs, LIMIT)]
    assert len(dict(rows)) == len(rows)
    return dict(rows)


@settings(max_examples=25, deadline=None)
@given(probabilities)
def test_a_cluster_has_one_canonical_issue_its_oldest_and_all_others_are_similar_to_it(
    given_probabilities: Probabilities,
) -> None:
    canonical = canonical_issues(given_probabilities)
    for issue, of_cluster in canonical.items():
        assert canonical[of_cluster] == of_cluster <= issue
        assert issue == of_cluster or given_probabilities[issue][of_cluster] >= LIMIT / 2
    assert {list(canonical.values()).count(issue) for issue in canonical.values()} <= set(range(2, 10))


@settings(max_examples=15, deadline=None)
@given(probabilities, st.integers(1, 8))
def test_clusters_only_grow_when_newer_issues_come(given_probabilities: Probabilities, count: int) -> None:
    before, after = canonical_issues(given_probabilities[:count]), canonical_issues(given_probabilities)
    assert before.items() <= after.items()


def test_an_issue_that_is_like_two_clusters_joins_the_older_one_and_merges_none() -> None:
    rows: Probabilities = [[], [0], [0.9, 0], [0, 0.9, 0], [0.5, 0.9, 0, 0]]
    assert canonical_issues(rows) == {0: 0, 2: 0, 4: 0, 1: 1, 3: 1}


def test_a_long_chain_is_cut_instead_of_failing() -> None:
    chain = [[0.0] * (newer - 1) + [0.9] * (newer > 0) for newer in range(203)]
    canonical = canonical_issues(chain)
    assert {issue: canonical[issue] for issue in (1, 2, 99)} == {1: 0, 2: 2, 99: 98}
    assert max(canonical) == 99
