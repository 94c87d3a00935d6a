"""The forms of requests: what is refused, and what the client is told."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.serving.http.errors import describe
from pipeline.serving.http.forms import SimilarForm, TitleForm, TitleForms
from pipeline.serving.queries import SimilarQuery

URL = "https://github.com/owner/repo/issues/12"


def refusal(form: Any, value: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(form).validate_python(value)
    problem = refused.value.errors()[0]
    content = describe({**problem, "loc": ("body", *problem["loc"])})  # as FastAPI passes it on
    return content["error"], content["expected"]


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        ({"body": 5}, "body: a number was found.", "a valid string"),
        ({}, "body: nothing was found.", "a value"),
        ([], "body of the request: a list was found.", "at least one issue"),
        (5, "body of the request: a number was found.", "a JSON object"),
        ([None], "[0]: null was found.", "a JSON object"),
        ({"text": "x", "body": "y"}, "text: this key is not known.", "the keys that /docs lists"),
        ([{"body": "x"}, {"body": True}], "[1].body: true or false was found.", "a valid string"),
    ],
)
def test_a_wrong_request_for_titles_says_where_what_and_what_was_expected(
    value: Any, error: str, expected: str
) -> None:
    assert refusal(TitleForms, value) == (error, expected)


def test_only_the_first_wrong_issue_of_a_batch_is_described() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(TitleForms).validate_python([5] * 100)
    assert refused.value.error_count() == 1


def test_half_a_character_is_replaced() -> None:
    assert TitleForm(body="a\ud800b").body == "a\ufffdb"
    assert SimilarForm(text="https://a.org/\udc00").text == "https://a.org/\ufffd"


ONE_OF = "exactly one of: text; address; title and body"
ADDRESS = "https://github.com/OWNER/REPO/issues/NUMBER or OWNER/REPO#NUMBER"


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        ({}, "The request has no text.", ONE_OF),
        ({"text": "x", "body": "y"}, "The request has text and title or body.", ONE_OF),
        ({"text": " \n"}, "The text of the request is empty.", "a text, or the address of an issue"),
        ({"address": "it crashes"}, "The value of address is not the address of an issue.", ADDRESS),
        (
            {"text": "https://github.com/a/b"},
            "https://github.com/a/b is not the address of an issue.",
            ADDRESS,
        ),
        ({"text": "x", "repo": "b"}, "The value of repo is not the name of a repository.", "OWNER/REPO"),
        (
            {"text": "x", "repo": "a/b", "everywhere": True},
            "The request has both repo and everywhere.",
            "only one of repo and everywhere, because each of them says where to search",
        ),
        ({"text": "x", "k": 0}, "k: a number was found.", "a number greater than or equal to 1"),
        ({"text": "x", "since": 0}, "since: a number was found.", "a day, such as 2015-01-01"),
        (
            {"address": "a/b#" + "9" * 5000},
            "a/b#999999999999999999... is not the address of an issue: its number has 5,000 digits.",
            ADDRESS,
        ),
        ({"text": "x", "since": "now"}, "since: a text was found.", "a day, such as 2015-01-01"),
    ],
)
def test_a_wrong_request_for_similar_issues_says_what_was_found_and_expected(
    value: Any, error: str, expected: str
) -> None:
    assert refusal(SimilarForm, value) == (error, expected)


@pytest.mark.parametrize(
    ("value", "query"),
    [
        ({"text": "it crashes"}, SimilarQuery("it crashes")),
        ({"address": "owner/repo#12"}, SimilarQuery("owner/repo#12")),
        ({"title": "A crash", "body": "y"}, SimilarQuery("y", "A crash")),
        ({"body": "y"}, SimilarQuery("y", "")),
        ({"title": "A crash", "repo": "a/b"}, SimilarQuery("", "A crash", "a/b")),
        (
            {"text": URL, "everywhere": True, "since": "2015-01-02"},
            SimilarQuery(URL, everywhere=True, since=date(2015, 1, 2)),
        ),
    ],
)
def test_a_request_for_similar_issues_is_a_query_of_the_command_line(value: Any, query: SimilarQuery) -> None:
    assert SimilarForm.model_validate(value).query == query
