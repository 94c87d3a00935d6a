"""Finds similar issues for each row of a user's file. The rows are issues that are not opened yet, or that
the release does not have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.lake.batches import Lake
from pipeline.releases.current import require_current
from pipeline.serving.addresses import issue_url, repository_name
from pipeline.serving.queries import (
    OpenRelease,
    SimilarQuery,
    check_where_to_search,
    similar_to,
    text_query,
)
from pipeline.settings import Settings
from pipeline.source import issue_files
from pipeline.source.issue_files import TITLES, URLS, FileIssue


@dataclass(frozen=True)
class SearchScope:
    """Says where similar issues are searched. The fields mean the same as in SimilarQuery, except
    `same_repo`: it limits the search for each row to the repository of the row. Raises UsageError if more
    than one of `repo`, `same_repo` and `everywhere` is given."""

    repo: str | None = None
    same_repo: bool = False
    everywhere: bool = False
    since: date | None = None

    def __post_init__(self) -> None:
        check_where_to_search(self.repo, self.same_repo, self.everywhere)


def similar_of_file(
    lake: Lake, settings: Settings, path: Path, scope: SearchScope, neighbours: int
) -> Iterator[dict[str, Any]]:
    """Yields an object for each row of a file of issues. Rows need a title and a body.

    Each row is compared as a draft, by its own title and body. An object has these keys:

    - `row`: the number of the row, from 1
    - `issue_url`: the address in the row, or None
    - `title`: the title in the row
    - `similar`: what `queries.similar` returns for the draft, without the row's own issue
    - `problem`: why the row could not be compared, such as an empty text; None if it was compared

    Raises UsageError if no release is published, if the release does not have the repository of `scope`, or
    if the file cannot be read as issues.
    """
    opened = OpenRelease(require_current(lake), settings)
    if scope.repo:
        opened.index.repository(repository_name(scope.repo))
    for number, issue in enumerate(issue_files.read(path, (*TITLES, *URLS, "body", "repo")), start=1):
        similar, problem = [], None
        try:
            similar = _similar(opened, issue, scope, neighbours)
        except UsageError as error:
            problem = error.message
        yield {
            "row": number,
            "issue_url": issue.url or None,
            "title": issue.title,
            "similar": similar,
            "problem": problem,
        }


def _similar(
    opened: OpenRelease, issue: FileIssue, scope: SearchScope, neighbours: int
) -> list[dict[str, Any]]:
    if scope.same_repo and not issue.repo:
        raise UsageError(
            "The row names no repository. It needs a value in the column repo, or an issue's address on "
            "GitHub."
        )
    repo = issue.repo if scope.same_repo else scope.repo
    query = SimilarQuery(issue.body, issue.title, repo, everywhere=scope.everywhere, since=scope.since)
    draft = replace(text_query(opened, query), issue_id=_id_in_release(opened, issue.url))
    return similar_to(opened, query, draft, neighbours)


def _id_in_release(opened: OpenRelease, address: str) -> int:
    """Returns the id of the issue with this address, or 0 if the release does not have the issue.

    The search skips the issue with this id, which is the row's own issue. The reason is that the search lists
    only one of several issues with the same or nearly the same text. If the search listed the row's own
    issue, it would list no other issue with such a text.
    """
    try:
        url = issue_url(address)
    except UsageError:  # the address of something else, such as a repository
        return 0
    issue = opened.index.find_in_index(url) if url else None
    return issue.issue_id if issue else 0
