"""Finds the repository of an issue that is not in the index, and makes the errors for missing issues."""

from __future__ import annotations

import pyarrow.compute as pc

from pipeline.contracts import ISSUES
from pipeline.errors import UsageError
from pipeline.lake.pinned import Pinned


def repository_of(url: str) -> str:
    """Returns the repository (OWNER/NAME) in the URL of an issue. Returns the URL itself if it has no
    repository before `/issues/`."""
    path = url.split("/", 3)[-1].rpartition("/issues/")[0]
    return path or url


def repository_in_release(release: Pinned, url: str) -> str | None:
    """Returns the repository of the issue with this URL, or None if the release does not have the issue. The
    letter case of the URL does not matter."""
    for batch in release.members[ISSUES.name]:
        issues = release.lake.read(batch, ISSUES, ["issue_url", "repo"])
        is_issue = pc.equal(pc.utf8_lower(issues.column("issue_url")), url.lower())
        repos = issues.filter(is_issue).column("repo")
        if len(repos):
            return str(repos[0].as_py())
    return None


def unknown_repository(release: Pinned, repo: str) -> UsageError:
    """Returns the error for a repository that has no issue in the index of a release."""
    return UsageError(
        f"Release {release.name} has no issue of the repository {repo}.",
        "Check the name (OWNER/REPO), or search all repositories: omit --repo.",
    )


def missing_issue(release: Pinned, url: str) -> UsageError:
    """Returns the error for an issue that is not in the index of a release.

    Either the release has the issue, but the issue's text has no word of the model's vocabulary, or the
    release does not have the issue at all. The error says which of the two is the case.
    """
    if repository_in_release(release, url) is not None:
        return UsageError(
            f"The text of {url} contains no word of the model's vocabulary, so no similar issues can be "
            "found.",
            'Search with another text instead: titler similar "TEXT"',
        )
    return UsageError(
        f"The issue {url} is not in release {release.name}.",
        "Perhaps the source day on which it was opened is missing. To list the source days: titler status\n"
        'To search with a text instead: titler similar "TEXT"',
    )
