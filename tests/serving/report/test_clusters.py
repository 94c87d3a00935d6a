"""The clusters of duplicates among some pairs."""

from __future__ import annotations

from datetime import date
from typing import Any

from pipeline.serving.report.clusters import find_clusters


def pair(newer: int, older: int, probability: float) -> dict[str, Any]:
    """A pair of two issues. An issue with a higher number was opened later."""
    return {
        "issue_id": newer,
        "issue_url": f"u{newer}",
        "repo": "a/b",
        "title": f"t{newer}",
        "source_day": date(2024, 1, newer),
        "similar_issue_id": older,
        "similar_issue_url": f"u{older}",
        "similar_title": f"t{older}",
        "similar_day": date(2024, 1, older),
        "probability": probability,
    }


def clusters(*pairs: dict[str, Any]) -> list[tuple[list[str], float]]:
    return [
        ([issue.title for issue in cluster.issues], cluster.probability)
        for cluster in find_clusters(pairs, 0.6)
    ]


def test_an_issue_joins_the_oldest_issue_that_it_duplicates() -> None:
    assert clusters(pair(3, 2, 0.7), pair(3, 1, 0.8)) == [(["t1", "t3"], 0.8)]


def test_a_pair_below_the_probability_is_no_cluster() -> None:
    assert clusters(pair(2, 1, 0.59)) == []


def test_an_issue_joins_through_another_if_it_has_half_of_the_probability_with_the_oldest() -> None:
    assert clusters(pair(2, 1, 0.9), pair(3, 2, 0.7), pair(3, 1, 0.3)) == [(["t1", "t2", "t3"], 0.3)]


def test_an_issue_does_not_join_through_another_without_it() -> None:
    assert clusters(pair(2, 1, 0.9), pair(3, 2, 0.7), pair(3, 1, 0.29)) == [(["t1", "t2"], 0.9)]


def test_the_largest_cluster_comes_first() -> None:
    assert clusters(pair(2, 1, 0.9), pair(5, 4, 0.7), pair(6, 4, 0.8)) == [
        (["t4", "t5", "t6"], 0.7),
        (["t1", "t2"], 0.9),
    ]
