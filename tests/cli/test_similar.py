"""`titler similar` for issues of the release, next to the lists that the release has stored."""

from __future__ import annotations

import pytest

from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.serving.queries import SimilarQuery, similar
from pipeline.settings import Settings
from tests.support import lakes

STORED = """
SELECT issue_url, similar_issue_url, probability
FROM similar_issues
WHERE list = 'repository' AND issue_url IN (SELECT issue_url FROM similar_issues WHERE suggested LIMIT 10)
"""


@pytest.mark.parametrize("count", [1, 3, 9])
def test_a_shorter_list_is_the_beginning_of_the_list_of_ten(shared_settings: Settings, count: int) -> None:
    lake = Lake(shared_settings.lake.root)
    issues = sorted({issue for issue, *_ in lakes.query(shared_settings, STORED)})
    assert len(issues) > 3
    for issue in issues:
        query = SimilarQuery(issue, everywhere=True)
        longer = similar(lake, shared_settings, query, neighbours=10)
        assert similar(lake, shared_settings, query, neighbours=count) == longer[:count]


def test_an_older_issue_of_the_repository_has_the_probability_that_the_view_gives_it(
    shared_settings: Settings,
) -> None:
    lake = Lake(shared_settings.lake.root)
    stored: dict[str, dict[str, float]] = {}
    for issue, older, probability in lakes.query(shared_settings, STORED):
        stored.setdefault(issue, {})[older] = probability
    assert len(stored) > 3
    for issue, probabilities in stored.items():
        rows = similar(lake, shared_settings, SimilarQuery(issue, same_repo=True), neighbours=100)
        answered = {row["issue_url"]: row["probability"] for row in rows}
        assert {older: answered[older] for older in probabilities} == pytest.approx(probabilities, abs=1e-5)


def test_an_unknown_issue_of_another_server_is_refused_and_the_error_says_that_github_is_expected(
    shared_settings: Settings,
) -> None:
    query = SimilarQuery("https://gitlab.com/a/b/issues/1")
    with pytest.raises(UsageError) as raised:
        similar(Lake(shared_settings.lake.root), shared_settings, query, neighbours=1)
    assert raised.value.message.startswith(
        "https://gitlab.com/a/b/issues/1 is not an address on github.com, "
    )
    assert raised.value.hint.startswith("Give an issue as https://github.com/OWNER/REPO/issues/NUMBER or ")
