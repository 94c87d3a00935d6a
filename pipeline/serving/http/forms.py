"""The forms of requests and answers. They also describe the server in its OpenAPI document."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pipeline.errors import UsageError
from pipeline.serving.addresses import repository_name
from pipeline.serving.queries import SimilarQuery
from pipeline.source.surrogates import replace_surrogates

MAX_NEIGHBOURS = 100
"""Largest number of similar issues per list."""
ADDRESS_FORMS = "https://github.com/OWNER/REPO/issues/NUMBER or OWNER/REPO#NUMBER"
Text = Annotated[str, AfterValidator(replace_surrogates)]
"""A text of a request. JSON may contain halves of characters, which no answer can repeat."""


def _require_text(value: Any) -> Any:
    """Raises PydanticCustomError if the value given for a day is neither a text nor None. Without this check,
    pydantic would accept a number, and read it as seconds since 1970."""
    if value is not None and not isinstance(value, str):
        raise PydanticCustomError("date_type", "a day")
    return value


class Form(BaseModel):
    """A JSON object in the body of a request. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TitleForm(Form):
    """The issue for which a title is wanted."""

    body: Annotated[
        Text | None,
        Field(description="Body of the issue. If it is null or empty, the model abstains (gives no title)."),
    ]


ONE_ISSUE, BATCH = "one issue", "batch"
TitleForms = Annotated[
    Annotated[TitleForm, Tag(ONE_ISSUE)]
    # A list of wrong values would be described value for value, which takes seconds for a large request.
    | Annotated[list[TitleForm], Tag(BATCH), Field(min_length=1, fail_fast=True)],
    Discriminator(lambda value: BATCH if isinstance(value, list) else ONE_ISSUE),
]


class SimilarForm(Form):
    """The issue or text for which similar issues are wanted: a text, the address of an issue, or a draft
    (title and body)."""

    text: Annotated[Text | None, Field(description="Any text, or the address of an issue.")] = None
    address: Annotated[
        Text | None, Field(description="Address of an issue of the release: its URL, or OWNER/REPO#NUMBER.")
    ] = None
    title: Annotated[
        Text | None, Field(description="Title of a draft, which is an issue that is not opened yet.")
    ] = None
    body: Annotated[
        Text | None, Field(description="Body of a draft, which is an issue that is not opened yet.")
    ] = None
    repo: Annotated[
        str | None,
        Field(
            description="Search only this repository (OWNER/REPO). All its issues are searched, whatever "
            "their age, unless a first day is given (key since)."
        ),
    ] = None
    k: Annotated[
        int,
        Field(strict=True, ge=1, le=MAX_NEIGHBOURS, description="Largest number of issues per list."),
    ] = 10
    everywhere: Annotated[
        bool,
        Field(
            strict=True,
            description="By default, the answer for an issue has two lists: similar issues from its own "
            "repository, and similar issues from all repositories. If true, it has only the second list.",
        ),
    ] = False
    since: Annotated[
        date | None,
        BeforeValidator(_require_text),
        Field(description="Search only issues opened on this day or later."),
    ] = None

    @model_validator(mode="after")
    def _check_query(self) -> Self:
        """Raises PydanticCustomError if the form does not have exactly one of a text, an address and a draft,
        or if values are wrong or contradict each other."""
        draft = self.title is not None or self.body is not None
        chosen = {"text": self.text is not None, "address": self.address is not None, "title or body": draft}
        names = [name for name, is_chosen in chosen.items() if is_chosen]
        if len(names) != 1:
            raise _wrong(
                f"The request has {' and '.join(names) or 'no text'}.",
                "exactly one of: text; address; title and body",
            )
        if not any((text or "").strip() for text in (self.text, self.address, self.title, self.body)):
            raise _wrong("The text of the request is empty.", "a text, or the address of an issue")
        if self.repo is not None and self.everywhere:
            raise _wrong(
                "The request has both repo and everywhere.",
                "only one of repo and everywhere, because each of them says where to search",
            )
        try:
            is_address = self.query.issue_url is not None
        except UsageError:
            name = "text" if self.address is None else "address"
            raise _wrong(f"The value of {name} is not the address of an issue.", ADDRESS_FORMS) from None
        if self.address is not None and not is_address:
            raise _wrong("The value of address is not the address of an issue.", ADDRESS_FORMS)
        try:
            _ = self.repo is not None and repository_name(self.repo)
        except UsageError:
            raise _wrong("The value of repo is not the name of a repository.", "OWNER/REPO") from None
        return self

    @property
    def query(self) -> SimilarQuery:
        """The form, converted to a query for similar issues."""
        if self.title is not None or self.body is not None:
            text, title = self.body or "", self.title or ""
        else:
            text, title = str(self.text or self.address), None
        return SimilarQuery(text, title, self.repo, everywhere=self.everywhere, since=self.since)


WRONG_VALUE = "wrong_value"


def _wrong(error: str, expected: str) -> PydanticCustomError:
    """Returns the error for a wrong form. `error` says what was found, and `expected` says what was
    expected instead."""
    return PydanticCustomError(WRONG_VALUE, "{error}", {"error": error, "expected": expected})


class TitleAnswer(BaseModel):
    """A predicted title, with the keys of `titler title --json`."""

    title: Annotated[str, Field(description="Predicted title. It is empty if abstained is true.")]
    confidence: Annotated[float, Field(description="Confidence of the model, 0 to 1.")]
    abstained: Annotated[bool, Field(description="True if the model gives no title.")]
    withheld: Annotated[
        str | None,
        Field(
            description="Reason why the titles of the release's model are withheld (stored, but not shown). "
            "Null if they are shown."
        ),
    ]
    probability: Annotated[
        float | None, Field(description="Probability that the title is like the author's title, 0 to 1.")
    ]


class SimilarAnswer(BaseModel):
    """A similar issue, with the keys of `titler similar --json --all`."""

    issue_url: str
    title: str
    distance: Annotated[
        float,
        Field(
            description="Angular distance between the embeddings of this issue and the given issue (or "
            "text), 0 to 2."
        ),
    ]
    near_duplicate: bool
    list: Literal["repository", "everywhere"]
    probability: Annotated[
        float | None,
        Field(
            description="Probability that a maintainer would call this issue and the given issue (or text) "
            "duplicates."
        ),
    ]
    suggested: Annotated[
        bool | None,
        Field(description="Whether the probability is high enough to suggest the issue. Null if unknown."),
    ]
    words_in_common: str | None
    title_overlap: float | None
    age_days: int | None
    similar_text: str | None
    group_size: int | None


class StoredSimilarAnswer(SimilarAnswer):
    """A similar issue that the release has stored."""

    rank: Annotated[int, Field(description="Rank in the list. The most probable duplicate has rank 1.")]


class IssueAnswer(BaseModel):
    """What the release has stored about an issue."""

    issue_url: str
    repo: str
    title: Annotated[str, Field(description="Title that the author wrote.")]
    opened_at: str
    predicted_title: str
    confidence: float
    probability: float | None
    abstained: bool
    withheld: str | None
    source_day: str
    model: str
    release: str
    similar: list[StoredSimilarAnswer]


class ReadyAnswer(BaseModel):
    """Whether the server can answer requests."""

    ready: Annotated[bool, Field(description="Whether at least one worker has opened a release.")]
    release: Annotated[str | None, Field(description="The release that is served.")]
    issues: int | None
    model: str | None
    published_at: str | None
    problem: Annotated[
        str | None,
        Field(
            description="Reason why the current release is not served, or why workers are missing. "
            "Null if there is no problem."
        ),
    ]


class ErrorAnswer(BaseModel):
    """Why a request was not answered."""

    error: Annotated[str, Field(description="What the server found wrong, or why it cannot answer.")]
    expected: Annotated[str, Field(description="What the server expected instead.")]


ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": description}
    for status, description in (
        (401, "The token is missing or wrong."),
        (413, "The request is too large."),
        (422, "The form of the request is wrong, or it has no answer."),
        (503, "No release is open, or all workers are busy. Repeat the request later."),
        (504, "The answer took too long."),
    )
}
"""The errors that every path with an answer of the release may give."""
