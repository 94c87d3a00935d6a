"""Which issues a report shows with their similar issues."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.contracts import SIMILAR_ISSUES
from pipeline.serving.report.neighbour_values import choose_issues, suggestions_of


def similar(
    issue_id: int, rank: int, older: int, probability: float, of: str = "repository"
) -> dict[str, Any]:
    return {
        "issue_id": issue_id,
        "issue_url": f"https://github.com/a/b/issues/{issue_id}",
        "list": of,
        "rank": rank,
        "similar_issue_id": older,
        "similar_issue_url": f"https://github.com/c/d/issues/{older}",
        "similar_title": f"title {older}",
        "distance": 0.5,
        "same_repo": of == "repository",
        "near_duplicate": False,
        "probability": probability,
        "words_in_common": "crash",
        "title_overlap": 0.5,
        "age_days": 3,
        "similar_text": "own",
        "group_size": 1,
    }


def choose(*rows: dict[str, Any]) -> list[int]:
    return choose_issues(pa.Table.from_pylist(rows, SIMILAR_ISSUES.schema), 0.5, "r")


def test_issues_with_a_suggestion_come_first_and_then_the_most_probable_ones() -> None:
    rows = [similar(1, 1, 9, 0.1), similar(2, 1, 9, 0.9), similar(3, 1, 9, 0.4), similar(4, 1, 9, 0.2)]
    assert choose(*rows) == [2, 3, 4]


def test_three_issues_are_drawn_from_many_with_a_suggestion() -> None:
    rows = [similar(number, 1, 99, 0.9) for number in range(1, 30)]
    assert len(set(choose(*rows))) == 3
    assert choose(*rows) == choose(*reversed(rows))


def test_no_similar_issue_is_shown_twice_and_at_most_three_per_list() -> None:
    rows = [
        *(similar(1, rank, 10 + rank, 0.9 - rank / 10) for rank in range(1, 6)),
        *(similar(1, rank, 10 + rank, 0.3, "everywhere") for rank in range(1, 6)),
    ]
    shown = suggestions_of(rows, 1, 0.75)
    assert [(each.issue.title, each.list, each.is_suggested) for each in shown] == [
        ("title 11", "repository", True),
        ("title 12", "repository", False),
        ("title 13", "repository", False),
        ("title 14", "everywhere", False),
        ("title 15", "everywhere", False),
    ]
    assert shown[0].issue.repo == "c/d"
