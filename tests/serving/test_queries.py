"""The queries of `titler title` and `titler similar`: URLs, texts and empty input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.serving import queries
from pipeline.serving.queries import SimilarQuery

URL = "https://github.com/owner/repo/issues/12"


def test_an_empty_body_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^The body is empty, so no title can be predicted\."):
        queries.title(Lake(str(tmp_path)), " \n")


@pytest.mark.parametrize("title", [None, "  "])
def test_an_empty_query_is_refused(title: str | None) -> None:
    with pytest.raises(UsageError, match=r"^The query is empty, so no similar issues can be found\."):
        SimilarQuery(" \n", title)


def test_a_query_is_an_issue_if_it_is_the_address_of_one() -> None:
    assert SimilarQuery("Owner/repo#12").issue_url == "https://github.com/Owner/repo/issues/12"
    assert SimilarQuery(f"see {URL}").issue_url is None


def test_the_body_of_a_draft_is_a_text_even_if_it_is_an_address() -> None:
    assert SimilarQuery(URL, "it crashes like this").issue_url is None
    assert SimilarQuery("", "it crashes").issue_url is None


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"repo": "a/b", "everywhere": True}, "--repo and --everywhere contradict each other"),
        ({"same_repo": True, "everywhere": True}, "--same-repo and --everywhere contradict each other"),
        ({"repo": "a/b", "same_repo": True}, "--repo and --same-repo contradict each other"),
    ],
)
def test_two_choices_of_where_to_search_are_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SimilarQuery(URL, **chosen)


def test_a_text_has_no_repository_of_its_own() -> None:
    with pytest.raises(
        UsageError, match=r"--same-repo needs the URL of an issue\. .*\n.*\n.*--repo OWNER/REPO"
    ):
        SimilarQuery("it crashes", same_repo=True)
