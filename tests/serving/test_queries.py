"""The queries of `titler title` and `titler similar`: URLs, texts and empty input."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.serving import queries
from pipeline.serving.queries import canonical_url
from pipeline.settings import Settings

URL = "https://github.com/owner/repo/issues/12"


@pytest.mark.parametrize(
    "query",
    [
        URL,
        f" {URL}\r\n",
        f"{URL}/",
        f"{URL}#issuecomment-1",
        f"{URL}?x=y",
        f"{URL}/?x=/#top/\n",
        URL.replace("https", "http"),
    ],
)
def test_a_url_is_recognised_in_every_form_that_people_paste(query: str) -> None:
    assert canonical_url(query) == URL


@pytest.mark.parametrize(
    "query", ["crash when opening", f"{URL} crashes", f"see {URL}", "https", f"{URL}\n{URL}"]
)
def test_a_query_that_is_not_only_one_url_is_a_text(query: str) -> None:
    assert canonical_url(query) is None


def test_an_empty_body_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^The body is empty, so no title can be predicted\."):
        queries.title(Lake(str(tmp_path)), " \n")


def test_an_empty_query_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^The query is empty, so no similar issues can be found\."):
        queries.similar(Lake(str(tmp_path)), Settings(), " \n", 10)
