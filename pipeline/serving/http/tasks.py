"""The tasks that worker processes get, and the functions that compute the answers from a release."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from pipeline.errors import TitlerError, UsageError
from pipeline.index.queries import Hits
from pipeline.index.segmented_index import QueryIssue
from pipeline.serving.http.refusals import RefusalError
from pipeline.serving.queries import (
    OpenRelease,
    SimilarQuery,
    candidates_everywhere,
    similar_to,
    text_query,
    titles,
)
from pipeline.serving.stored_issue import stored_issue

log = logging.getLogger(__name__)
SERVER_FAULT = "nothing of the client: this is a fault of the server, whose log has the reason"

MAX_BODIES_TOGETHER, MAX_CHARACTERS_TOGETHER = 16, 100_000
"""Largest number of bodies that are computed together if they come from several requests, and largest total
length of their texts."""
MAX_SEARCHES_TOGETHER = 32
"""Largest number of tasks for similar issues that are computed together. Their texts have the same limit."""


@dataclass(frozen=True)
class TitleTask:
    """A task: predict titles for these bodies. None stands for a missing body."""

    bodies: tuple[str | None, ...]


@dataclass(frozen=True)
class SimilarTask:
    """A task: find the similar issues of an issue or a text, at most `neighbours` per list."""

    query: SimilarQuery
    neighbours: int


@dataclass(frozen=True)
class IssueTask:
    """A task: return what the release has stored about the issue with this URL."""

    url: str


Task = TitleTask | SimilarTask | IssueTask


def can_be_joined(tasks: Sequence[Task]) -> bool:
    """Returns whether the tasks of several requests may be computed together. All must be tasks for titles,
    or all must search all repositories for the same number of similar issues. They must also be few and have
    short texts, because together they must finish within the timeout of one request."""
    if all(isinstance(task, TitleTask) for task in tasks):
        bodies = [body or "" for task in tasks if isinstance(task, TitleTask) for body in task.bodies]
        return len(bodies) <= MAX_BODIES_TOGETHER and sum(map(len, bodies)) <= MAX_CHARACTERS_TOGETHER
    searches = [task for task in tasks if isinstance(task, SimilarTask) and task.query.searches_last_months]
    if len(searches) < len(tasks) or len({task.neighbours for task in searches}) > 1:
        return False
    characters = sum(len(task.query.text) + len(task.query.title or "") for task in searches)
    return len(searches) <= MAX_SEARCHES_TOGETHER and characters <= MAX_CHARACTERS_TOGETHER


@dataclass(frozen=True)
class Reply:
    """The answer to a task: a JSON value, or why there is none (see `RefusalError`). `status` is the HTTP
    status."""

    value: Any = None
    status: int = 200
    error: str = ""
    expected: str = ""

    def result(self) -> Any:
        """Returns the JSON value. Raises RefusalError if there is none."""
        if self.status != 200:
            raise RefusalError(self.status, self.error, self.expected)
        return self.value


def replies_to(opened: OpenRelease, tasks: Sequence[Task]) -> list[Reply]:
    """Returns the answers of an open release to one task, or to several tasks that can be computed together.
    Raises no errors.

    A fault of the server is answered with the status 500, and logged without the text of the task. If
    computing several tasks together fails, each is computed alone, so that an error affects only the request
    that causes it.
    """
    try:
        return _compute(opened, tasks)
    except Exception as error:
        if len(tasks) == 1:
            return [_failed(tasks[0], error)]
    return [reply for task in tasks for reply in replies_to(opened, [task])]


def _failed(task: Task, error: Exception) -> Reply:
    """Returns the answer to a task that could not be computed. Logs the error if it is a fault of the
    server."""
    if isinstance(error, RefusalError):
        return _refused(error)
    if isinstance(error, TitlerError):
        log.error("%s failed: %s", type(task).__name__, str(error).replace("\n", " "))
        return Reply(None, 500, "A file of the release is missing or damaged.", SERVER_FAULT)
    # The message of an unknown error may contain the text of an issue, which must not be logged.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown place"
    log.error("%s failed: %s at %s", type(task).__name__, type(error).__name__, place)
    return Reply(None, 500, "The answer could not be computed.", SERVER_FAULT)


def _refused(refusal: RefusalError) -> Reply:
    return Reply(None, refusal.status, refusal.error, refusal.expected)


def _compute(opened: OpenRelease, tasks: Sequence[Task]) -> list[Reply]:
    if isinstance(tasks[0], IssueTask):
        return [Reply(_stored(opened, tasks[0].url))]
    if isinstance(tasks[0], SimilarTask):
        return _similar(opened, [task for task in tasks if isinstance(task, SimilarTask)])
    bodies = [task.bodies for task in tasks if isinstance(task, TitleTask)]
    answers = iter(titles(opened.release, opened.predictor, tuple(chain.from_iterable(bodies))))
    return [Reply(list(islice(answers, len(own)))) for own in bodies]


def _stored(opened: OpenRelease, url: str) -> Any:
    issue = opened.index.find_in_index(url)
    if issue is None:
        raise _unknown_issue(opened, url)
    try:
        return stored_issue(opened.release, opened.settings, issue)
    except UsageError as error:
        raise RefusalError(404, error.message, "a release that this version of Titler made") from None


def _similar(opened: OpenRelease, tasks: Sequence[SimilarTask]) -> list[Reply]:
    """Answers one or more tasks. If there are several, one search finds the candidates for all of them (see
    `candidates_everywhere`)."""
    replies: dict[int, Reply] = {}
    query_issues: dict[int, QueryIssue] = {}
    for number, task in enumerate(tasks):
        try:
            query_issues[number] = _query_issue(opened, task.query)
        except RefusalError as refusal:
            replies[number] = _refused(refusal)
    candidates: Sequence[Hits | None] = [None] * len(query_issues)
    if len(tasks) > 1:
        candidates = candidates_everywhere(opened, list(query_issues.values()), tasks[0].neighbours)
    for (number, query_issue), own in zip(query_issues.items(), candidates, strict=True):
        task = tasks[number]
        try:
            replies[number] = Reply(similar_to(opened, task.query, query_issue, task.neighbours, own))
        except UsageError as error:
            expected = "a repository of which the release has issues"
            replies[number] = _refused(RefusalError(404, error.message, expected))
    return [replies[number] for number in range(len(tasks))]


def _query_issue(opened: OpenRelease, query: SimilarQuery) -> QueryIssue:
    url = query.issue_url
    try:
        query_issue = opened.index.find_in_index(url) if url else text_query(opened, query)
    except UsageError as error:
        raise RefusalError(422, error.message, "a longer text, or the address of an issue") from None
    if query_issue is None:
        raise _unknown_issue(opened, str(url))
    return query_issue


def _unknown_issue(opened: OpenRelease, url: str) -> RefusalError:
    return RefusalError(
        404,
        f"The index of release {opened.release.name} has no issue {url}.",
        "an issue that is in the release and has at least one word of the model's vocabulary",
    )
