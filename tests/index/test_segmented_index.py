"""The index of a release: questions about issues and vectors, answered from its segments."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.index import similar_lists
from pipeline.index.issues_of_release import repository_of
from pipeline.index.segment import Segment
from pipeline.index.segmented_index import (
    QueryIssue,
    Search,
    SegmentedIndex,
    midnight,
    open_segments,
)
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.settings import Index, LakeSettings, Settings, Similar
from pipeline.stages import index
from pipeline.text.issue_terms import issue_terms
from tests.stages.literal_releases import embedded_release

DAYS = {
    "2012-05-01": {1: [1, 0]},
    "2015-01-01": {2: [1, 1]},
    "2015-01-02": {2: [1, 1], 3: [0, 1], 4: [0, 0], 5: [-1, 0]},
}
"""Issue 4 has a zero vector."""
ASKED = QueryIssue(
    np.array([1, 0], dtype=np.float32), issue_terms(["it fails"], [None]), midnight(date(2015, 1, 3))
)
"""A text."""


def url_of(number: int, repo: str = "rust-lang/rust") -> str:
    return f"https://github.com/{repo}/issues/{number}"


@pytest.fixture(params=[500_000, 2], ids=["one group", "several groups"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(
        lake=LakeSettings(root=str(tmp_path)),
        index=Index(segment_items=request.param),
        similar=Similar(months=1),
    )


@pytest.fixture
def release(settings: Settings) -> Pinned:
    lake = Lake(settings.lake.root)
    release = embedded_release(lake, DAYS, repos={3: "c/d", 5: "e/f"})
    index.run(lake, release, settings)
    return release


def number_of(row: dict[str, Any]) -> int:
    return int(row["issue_url"].rpartition("/")[2])


def numbers(rows: list[dict[str, Any]]) -> set[int]:
    return {number_of(row) for row in rows}


def opened(release: Pinned, settings: Settings) -> SegmentedIndex:
    segments = open_segments(release, settings)
    return segments  # the lake is a folder, so the files stay


def test_an_issue_is_found_by_its_url_with_its_vector(release: Pinned, settings: Settings) -> None:
    issue = opened(release, settings).find(url_of(3, "c/d"))
    assert (issue.issue_id, issue.repo, issue.vector.tolist()) == (3, "c/d", [0, 1])


def test_an_issue_and_a_repository_are_found_in_any_letter_case(release: Pinned, settings: Settings) -> None:
    index = opened(release, settings)
    assert index.find(url_of(3, "C/D").upper().replace("HTTPS", "https")).issue_id == 3
    assert [index.repository(name) for name in ("C/d", "rust-lang/rust")] == ["c/d", "rust-lang/rust"]


def test_a_repository_without_issues_is_refused(release: Pinned, settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"Release r has no issue of the repository no/such\."):
        opened(release, settings).repository("no/such")


def test_only_issues_since_a_day_are_searched_if_it_is_named(release: Pinned, settings: Settings) -> None:
    index = opened(release, settings)
    assert numbers(index.similar(ASKED, Search(None, True, 10, date(2015, 1, 2)))) == {3, 5}
    assert numbers(index.similar(ASKED, Search(None, True, 10, date(2012, 5, 1)))) == {1, 2, 3, 5}
    assert numbers(index.similar(ASKED, Search("rust-lang/rust", False, 10, date(2012, 5, 2)))) == {2}


def test_an_issue_of_a_renamed_repository_is_found_by_the_address_that_its_event_had(
    settings: Settings,
) -> None:
    days = {"2015-01-01": {1: [1, 0], 2: [0, 1]}}
    release = embedded_release(
        Lake(settings.lake.root), days, repos={2: "old/x"}, urls={2: url_of(2, "new/x")}
    )
    index.run(release.lake, release, settings)
    found = opened(release, settings).find(url_of(2, "new/x"))
    assert (found.issue_id, found.repo) == (2, "old/x")


def test_two_issues_with_one_address_are_told_apart_by_their_ids(settings: Settings) -> None:
    days = {"2015-01-01": {1: [1, 0]}, "2015-01-02": {2: [0, 1]}}
    release = embedded_release(Lake(settings.lake.root), days, urls={2: url_of(1)})
    index.run(release.lake, release, settings)
    segments = opened(release, settings)
    by_id = [segments.find_in_repository(issue_id, "rust-lang/rust") for issue_id in (1, 2, 3)]
    assert [issue and issue.vector.tolist() for issue in by_id] == [[1, 0], [0, 1], None]
    assert segments.find(url_of(1)).issue_id == 2


def test_an_issue_with_a_zero_vector_is_refused_with_the_reason(release: Pinned, settings: Settings) -> None:
    with pytest.raises(
        UsageError, match=r"The text of .*issues/4 contains no word of the model's vocabulary"
    ):
        opened(release, settings).find(url_of(4))


def test_an_issue_that_is_not_in_the_release_is_refused(release: Pinned, settings: Settings) -> None:
    for url in (url_of(6), url_of(3, "no/such"), "https://example.com"):
        with pytest.raises(UsageError, match=rf"The issue {url} is not in release r\."):
            opened(release, settings).find(url)


def test_the_list_of_all_repositories_has_issues_of_the_last_months(
    release: Pinned, settings: Settings
) -> None:
    rows = opened(release, settings).similar(ASKED, Search(None, everywhere=True, count=10))
    assert numbers(rows) == {2, 3, 5}
    (of_2,) = [row for row in rows if row["issue_url"] == url_of(2)]
    assert 0 <= of_2.pop("probability") <= 1
    assert of_2 == {
        "list": "everywhere",
        "issue_url": url_of(2),
        "title": "t2",
        "distance": pytest.approx((2 - 2**0.5) ** 0.5),
        "title_overlap": 0,
        "age_days": 1,  # opened at noon of the first day; the text counts as opened after the second
        "similar_text": "none",
        "group_size": 1,
        "terms": [],
    }


def test_the_list_of_a_repository_may_have_old_issues(release: Pinned, settings: Settings) -> None:
    rows = opened(release, settings).similar(ASKED, Search("rust-lang/rust", everywhere=False, count=10))
    assert [(row["list"], number_of(row)) for row in rows] == [("repository", 2), ("repository", 1)]


def test_both_lists_leave_out_the_issue_itself(release: Pinned, settings: Settings) -> None:
    index = opened(release, settings)
    rows = index.similar(index.find(url_of(2)), Search("rust-lang/rust", True, 10))
    assert [(row["list"], number_of(row)) for row in rows if row["list"] == "repository"] == [
        ("repository", 1)
    ]
    assert numbers([row for row in rows if row["list"] == "everywhere"]) == {3, 5}


def test_a_list_may_be_longer_than_the_usual_number_of_candidates(
    release: Pinned, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar_lists, "CANDIDATES", 0)
    assert numbers(opened(release, settings).similar(ASKED, Search("rust-lang/rust", False, 2))) == {1, 2}


def test_an_index_without_terms_answers_by_distance_and_without_probability(
    release: Pinned, settings: Settings
) -> None:
    asked = replace(ASKED, terms=None)  # as of a segment that an earlier version built
    rows = opened(release, settings).similar(asked, Search("rust-lang/rust", True, 2))
    assert [(row["list"], number_of(row), row["probability"]) for row in rows] == [
        ("repository", 1, None),
        ("repository", 2, None),
        ("everywhere", 2, None),
        ("everywhere", 3, None),
    ]


def test_an_index_without_terms_has_no_candidates_that_are_searched_together(
    release: Pinned, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = opened(release, settings)
    assert [hits is None for hits in index.hits_everywhere([ASKED, ASKED], 2)] == [False, False]
    monkeypatch.setattr(Segment, "has_terms", False)
    assert opened(release, settings).hits_everywhere([ASKED, ASKED], 2) == [None, None]


@pytest.mark.parametrize(
    ("url", "repo"),
    [("https://github.com/a/b/issues/7", "a/b"), ("https://example.com", "https://example.com")],
)
def test_the_repository_of_an_issue_is_in_its_url(url: str, repo: str) -> None:
    assert repository_of(url) == repo
