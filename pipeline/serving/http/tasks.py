"""What a worker process is asked, and how it computes the answer from its release."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import TitlerError, UsageError
from pipeline.serving.http.refusals import RefusalError
from pipeline.serving.queries import OpenRelease, SimilarQuery, similar_to, text_query, titles
from pipeline.serving.stored_issue import stored_issue

log = logging.getLogger(__name__)
SERVER_FAULT = "nothing of the client: this is a fault of the server, whose log has the reason"

MAX_BODIES_TOGETHER, MAX_CHARACTERS_TOGETHER = 16, 100_000
"""Largest number and total length of the bodies that a worker gets in one task, if they come from several
requests."""


@dataclass(frozen=True)
class TitleTask:
    """Titles for bodies. None stands for a missing body."""

    bodies: tuple[str | None, ...]


@dataclass(frozen=True)
class SimilarTask:
    """The similar issues of an issue or a text, at most `neighbours` per list."""

    query: SimilarQuery
    neighbours: int


@dataclass(frozen=True)
class IssueTask:
    """What the release has stored about the issue with this URL."""

    url: str


Task = TitleTask | SimilarTask | IssueTask


def can_be_joined(tasks: Sequence[Task]) -> bool:
    """Returns whether the tasks of several requests may be computed together: tasks for titles with few and
    short bodies. The timeout of one request is the time for all of them."""
    if not all(isinstance(task, TitleTask) for task in tasks):
        return False
    bodies = [body or "" for task in tasks if isinstance(task, TitleTask) for body in task.bodies]
    return len(bodies) <= MAX_BODIES_TOGETHER and sum(map(len, bodies)) <= MAX_CHARACTERS_TOGETHER


def joined(tasks: Sequence[Task]) -> Task:
    """Returns one task for a task, or for several tasks for titles. The bodies keep their order."""
    titles_only = [task for task in tasks if isinstance(task, TitleTask)]
    if len(titles_only) < len(tasks):
        (task,) = tasks
        return task
    return TitleTask(tuple(body for task in titles_only for body in task.bodies))


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


def reply_to(opened: OpenRelease, task: Task) -> Reply:
    """Returns the answer of an open release to a task. Raises nothing. A fault of the server is answered with
    the status 500, and logged without the text of the task."""
    try:
        return Reply(_compute(opened, task))
    except RefusalError as refusal:
        return Reply(None, refusal.status, refusal.error, refusal.expected)
    except TitlerError as error:
        log.error("%s failed: %s", type(task).__name__, str(error).replace("\n", " "))
        return Reply(None, 500, "A file of the release is missing or damaged.", SERVER_FAULT)
    except Exception as error:
        # The message of an unknown error may contain the text of an issue, which must not be logged.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown place"
        log.error("%s failed: %s at %s", type(task).__name__, type(error).__name__, place)
        return Reply(None, 500, "The answer could not be computed.", SERVER_FAULT)


def _compute(opened: OpenRelease, task: Task) -> Any:
    if isinstance(task, TitleTask):
        return titles(opened.release, opened.predictor, task.bodies)
    if isinstance(task, SimilarTask):
        return _similar(opened, task)
    issue = opened.index.find_in_index(task.url)
    if issue is None:
        raise _unknown_issue(opened, task.url)
    try:
        return stored_issue(opened.release, opened.settings, issue)
    except UsageError as error:
        raise RefusalError(404, error.message, "a release that this version of Titler made") from None


def _similar(opened: OpenRelease, task: SimilarTask) -> list[dict[str, Any]]:
    url = task.query.issue_url
    try:
        query_issue = opened.index.find_in_index(url) if url else text_query(opened, task.query)
    except UsageError as error:
        raise RefusalError(422, error.message, "a longer text, or the address of an issue") from None
    if query_issue is None:
        raise _unknown_issue(opened, str(url))
    try:
        return similar_to(opened, task.query, query_issue, task.neighbours)
    except UsageError as error:
        raise RefusalError(404, error.message, "a repository of which the release has issues") from None


def _unknown_issue(opened: OpenRelease, url: str) -> RefusalError:
    return RefusalError(
        404,
        f"The index of release {opened.release.name} has no issue {url}.",
        "an issue of the release, whose text has a word of the model's vocabulary",
    )
