"""The index of a release: questions about issues and vectors, answered from its segments."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.index.segmented_index import SegmentedIndex, open_segments, repository_of
from pipeline.lake.batches import Lake
from pipeline.lake.pinned import Pinned
from pipeline.settings import Index, LakeSettings, Settings, Similar
from pipeline.stages import index
from tests.stages.literal_releases import embedded_release

DAYS = {
    "2012-05-01": {1: [1, 0]},
    "2015-01-01": {2: [1, 1]},
    "2015-01-02": {2: [1, 1], 3: [0, 1], 4: [0, 0], 5: [-1, 0]},
}
"""Issue 4 has a zero vector."""
X = np.array([1, 0], dtype=np.float32)


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


def ids(rows: list[dict[str, object]]) -> list[object]:
    return [row["issue_id"] for row in rows]


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
    assert ids(index.nearest(X, 10, date(2015, 1, 2))) == [3, 5]
    assert ids(index.nearest(X, 10, date(2012, 5, 1))) == [1, 2, 3, 5]
    assert ids(index.nearest_in_repository(X, 10, "rust-lang/rust", date(2012, 5, 2))) == [2]


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


def test_an_issue_with_a_zero_vector_is_refused_with_the_reason(release: Pinned, settings: Settings) -> None:
    with pytest.raises(
        UsageError, match=r"The text of .*issues/4 contains no word of the model's vocabulary"
    ):
        opened(release, settings).find(url_of(4))


def test_an_issue_that_is_not_in_the_release_is_refused(release: Pinned, settings: Settings) -> None:
    for url in (url_of(6), url_of(3, "no/such"), "https://example.com"):
        with pytest.raises(UsageError, match=rf"The issue {url} is not in release r\."):
            opened(release, settings).find(url)


def test_the_nearest_issues_anywhere_are_those_of_the_last_months(
    release: Pinned, settings: Settings
) -> None:
    rows = opened(release, settings).nearest(X, 10)
    assert ids(rows) == [2, 3, 5]
    assert rows[0] == {
        "issue_id": 2,
        "issue_url": url_of(2),
        "title": "t2",
        "distance": pytest.approx((2 - 2**0.5) ** 0.5),
    }


def test_the_nearest_issues_of_a_repository_may_be_old(release: Pinned, settings: Settings) -> None:
    assert ids(opened(release, settings).nearest_in_repository(X, 10, "rust-lang/rust")) == [1, 2]
    assert ids(opened(release, settings).nearest_in_repository(X, 1, "rust-lang/rust")) == [1]


@pytest.mark.parametrize(
    ("url", "repo"),
    [("https://github.com/a/b/issues/7", "a/b"), ("https://example.com", "https://example.com")],
)
def test_the_repository_of_an_issue_is_in_its_url(url: str, repo: str) -> None:
    assert repository_of(url) == repo
