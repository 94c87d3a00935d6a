"""The index of a release: its segments, opened for questions about single issues and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow.compute as pc

from pipeline.contracts import ISSUES, SEGMENTS
from pipeline.errors import UsageError
from pipeline.index.release_days import repository_group
from pipeline.index.segment import Segment
from pipeline.index.segment_search import (
    Hits,
    Queries,
    Vectors,
    hit_rows,
    months_before,
    search,
    search_repository,
)
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.settings import Settings


@dataclass(frozen=True)
class FoundIssue:
    """An issue of the index: its vector (size,), its id and its repository."""

    vector: Vectors
    issue_id: int
    repo: str


class SegmentedIndex:
    """The segments of a release. `segments` are opened when a question needs them.

    `groups` has for each segment the number of its group of repositories, and the number of groups.
    """

    def __init__(
        self,
        release: Pinned,
        segments: Sequence[Segment],
        groups: Sequence[tuple[int, int]],
        settings: Settings,
    ) -> None:
        self._release = release
        self._segments = segments
        self._groups = groups
        self._settings = settings

    def find(self, url: str) -> FoundIssue:
        """Returns the issue with this URL, in any letter case. Raises UsageError if the issue is not in the
        release, or if it is not in the index because its vector is zero."""
        named = repository_of(url)
        issue = self._find(url, named)
        if issue is None and (stored := self._repository_named(named)) not in (None, named):
            issue = self._find(url, str(stored))
        if issue is None:
            # The URL of an issue may name another repository than its event, if the repository was renamed.
            repo = repository_in_release(self._release, url)
            issue = self._find(url, repo) if repo not in (None, named) else None
        if issue is None:
            raise missing_issue(self._release, url)
        return issue

    def repository(self, name: str) -> str:
        """Returns the repository with this name, in any letter case, as the index has it. Raises UsageError
        if the index has none of its issues."""
        if any(segment.of_repository(name) for segment in self._segments_of(name)):
            return name
        stored = self._repository_named(name)
        if stored is None:
            raise unknown_repository(self._release, name)
        return stored

    def _repository_named(self, name: str) -> str | None:
        """Returns a repository with this name in any letter case, the latest, or None. Asks all segments,
        because a segment is chosen by the exact name."""
        names = (segment.repository_named(name) for segment in reversed(self._segments))
        return next((stored for stored in names if stored is not None), None)

    def _find(self, url: str, repo: str) -> FoundIssue | None:
        for segment in reversed(self._segments_of(repo)):
            items = np.asarray(segment.of_repository(repo), dtype=np.int64)
            urls = segment.rows(items, ["issue_url"]).column("issue_url")
            matches = items[pc.equal(pc.utf8_lower(urls), url.lower()).to_numpy()]
            if len(matches):
                item = int(matches[-1])
                vector = segment.vectors[item].astype(np.float32)
                return FoundIssue(vector, int(segment.issue_ids[item]), repo)
        return None

    def nearest(self, vector: Vectors, neighbours: int, since: date | None = None) -> list[dict[str, Any]]:
        """Returns up to `neighbours` issues nearest to a vector, nearest first: dicts with the keys
        `issue_id`, `issue_url`, `title` and `distance` (angular, 0 to 2).

        Only issues that were opened on the day `since` or later are searched. Without it, these are the
        issues of the last `similar.months` months before the release's last day.
        """
        opened_since = (
            midnight(since)
            if since
            else months_before(self._release.plan.days[-1].day, self._settings.similar.months)
        )
        queries = Queries(vector[None, :], opened_since)
        return self._rows(self._segments, search(self._segments, queries, neighbours, self._settings.index))

    def nearest_in_repository(
        self, vector: Vectors, neighbours: int, repo: str, since: date | None = None
    ) -> list[dict[str, Any]]:
        """Returns the nearest issues of a repository, like `nearest`. Without `since`, all issues of the
        repository are compared, however old they are."""
        segments = self._segments_of(repo)
        queries = Queries(vector[None, :], midnight(since) if since else None)
        return self._rows(segments, search_repository(segments, repo, queries, neighbours))

    def _segments_of(self, repo: str) -> list[Segment]:
        return [
            segment
            for segment, (group, groups) in zip(self._segments, self._groups, strict=True)
            if repository_group(repo, groups) == group
        ]

    def _rows(self, segments: Sequence[Segment], hits: Hits) -> list[dict[str, Any]]:
        rows = hit_rows(segments, hits, ["issue_id", "issue_url", "title"])
        return rows.append_column("distance", [hits.distances]).to_pylist()


def open_segments(release: Pinned, settings: Settings) -> SegmentedIndex:
    """Opens the index of a release. Raises UsageError if the release has no segments yet."""
    manifests = release.members[SEGMENTS.name]
    segments = [Segment.of_batch(release.lake, manifest) for manifest in manifests]
    return SegmentedIndex(release, segments, [_group_of(manifest) for manifest in manifests], settings)


def _group_of(manifest: Manifest) -> tuple[int, int]:
    number, _, groups = manifest.partition["repositories"].partition("-of-")
    return int(number) - 1, int(groups)


def repository_of(url: str) -> str:
    """Returns the repository of an issue's URL: OWNER/NAME. Returns the URL if it has another form."""
    path = url.split("/", 3)[-1].rpartition("/issues/")[0]
    return path or url


def midnight(day: date) -> int:
    """Returns the first moment of a day, in microseconds since 1970."""
    return int(np.datetime64(day, "us").astype(np.int64))


def repository_in_release(release: Pinned, url: str) -> str | None:
    """Returns the repository of the issue with this URL, in any letter case. Returns None if the release does
    not have the issue."""
    for batch in release.members[ISSUES.name]:
        issues = release.lake.read(batch, ISSUES, ["issue_url", "repo"])
        is_issue = pc.equal(pc.utf8_lower(issues.column("issue_url")), url.lower())
        repos = issues.filter(is_issue).column("repo")
        if len(repos):
            return str(repos[0].as_py())
    return None


def unknown_repository(release: Pinned, repo: str) -> UsageError:
    """Returns the error for a repository of which the index of a release has no issue."""
    return UsageError(
        f"Release {release.name} has no issue of the repository {repo}.",
        "Check the name (OWNER/REPO), or search all repositories: omit --repo.",
    )


def missing_issue(release: Pinned, url: str) -> UsageError:
    """Returns the error for an issue that is not in the index of a release. It says whether the release has
    the issue."""
    if repository_in_release(release, url) is not None:
        return UsageError(
            f"The text of {url} contains no word of the model's vocabulary, so no similar issues can be "
            "found.",
            'Search with another text instead: titler similar "TEXT"',
        )
    return UsageError(
        f"The issue {url} is not in release {release.name}.",
        'Search with a text instead: titler similar "TEXT". To list the source days: titler status',
    )
