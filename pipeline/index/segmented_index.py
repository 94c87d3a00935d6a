"""Opens the index of a release, and searches it for issues that are similar to an issue or a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow.compute as pc

from pipeline.contracts import EVERYWHERE_LIST, REPOSITORY_LIST, SEGMENTS
from pipeline.index.comparison import Comparison, probabilities_of
from pipeline.index.issues_of_release import (
    missing_issue,
    repository_in_release,
    repository_of,
    unknown_repository,
)
from pipeline.index.list_rows import SHOWN, rows_with_distances, rows_with_reasons, rows_without_reasons
from pipeline.index.ordering import Ordering
from pipeline.index.queries import Ages, Hits, Queries, Vectors, months_before
from pipeline.index.recent_vectors import RecentVectors
from pipeline.index.release_days import repository_group
from pipeline.index.repository_items import RepositoryItems, read_repository
from pipeline.index.segment import Segment
from pipeline.index.segment_search import cosines_with, search, search_exactly
from pipeline.index.segment_terms import take_terms
from pipeline.index.similar_lists import (
    PreparedRepository,
    QueryBatch,
    compare_in_repository,
    compared_everywhere,
    lists_everywhere,
    lists_in_repository,
)
from pipeline.index.stored_orderings import ordering_of_release
from pipeline.index.term_frequencies import NO_BACKGROUND, Background
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.settings import Settings
from pipeline.text.issue_terms import IssueTerms

SAMPLE_SIZE = 2048
"""Number of issues over which the frequencies of words are counted, if all repositories are searched."""
ROW_GROUPS_REMEMBERED = 256
"""Row groups whose columns SHOWN stay in memory. One row group has about 0.5 MiB."""
NAMES_REMEMBERED = 1000
"""Names of repositories whose form in the index is remembered. To find one, the names in all segments are
read."""


@dataclass(frozen=True)
class QueryIssue:
    """The issue or text for which similar issues are searched.

    `vector` (size,) is its embedding. `terms` are hashes of its words, or None if the issue's segment has no
    terms. `opened_at` is when it was opened, in microseconds since 1970. Only an issue of the index has an
    id, a repository and a source day. `words` maps each term of a text to the word that it was made from.
    """

    vector: Vectors
    terms: IssueTerms | None
    opened_at: int
    issue_id: int = 0
    repo: str | None = None
    day: str | None = None
    words: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """Says which lists of similar issues are searched, and how long they are.

    If `repo` is not None, one list has issues of this repository. If `everywhere` is true, one list has
    issues of all repositories. A list has up to `count` issues. If `since` is not None, a list has only
    issues that were opened on this day or later.

    Without `since`, the list of a repository covers its whole history, and the list of all repositories
    covers the last `similar.months` months before the release's last day.
    """

    repo: str | None
    everywhere: bool
    count: int
    since: date | None = None


class SegmentedIndex:
    """The index of a release, which consists of segments. Segments are opened when a query needs them.

    A segment has the issues of all repositories, or of only one group of repositories. `groups` has a pair
    per segment: the position of its group (from 0), and how many groups there are. For a segment with all
    repositories, this is (0, 1). `ordering` computes the probability that two issues are duplicates.
    """

    def __init__(
        self,
        release: Pinned,
        segments: Sequence[Segment],
        groups: Sequence[tuple[int, int]],
        settings: Settings,
        ordering: Ordering,
    ) -> None:
        self._release = release
        self._segments = segments
        self._groups = groups
        self._settings = settings
        self._ordering = ordering
        self._recent: RecentVectors | None = None
        self._repository_named = lru_cache(NAMES_REMEMBERED)(self._find_name)

    def prepare_for_many_queries(self, most_items: int) -> None:
        """Copies vectors into memory, so that searches in all repositories are faster.

        The copy of a vector has one byte per number. Segments with an Annoy index are copied last, from the
        latest to the earliest. If such a segment would bring the total to more than `most_items` copies, it
        is not copied, and is searched with Annoy. Raises LakeError if a file is damaged.
        """
        self._recent = RecentVectors.of(self._segments, self._months_before(), most_items)

    def find(self, url: str) -> QueryIssue:
        """Returns the issue with this URL, in any letter case. Raises UsageError if the issue is not in the
        release, or if it is not in the index because its vector is zero."""
        issue = self.find_in_index(url)
        if issue is None:
            # The URL of an issue may name another repository than its event, if the repository was renamed.
            repo = repository_in_release(self._release, url)
            issue = self._find(url, repo) if repo not in (None, repository_of(url)) else None
        if issue is None:
            raise missing_issue(self._release, url)
        return issue

    def find_in_repository(self, issue_id: int, repo: str) -> QueryIssue | None:
        """Returns the issue with this id from a repository, or None if the index does not have it. Unlike an
        id, a URL may belong to several issues, because a repository can be deleted and made again."""
        for segment in reversed(self._segments_of(repo)):
            items = np.asarray(segment.of_repository(repo), dtype=np.int64)
            matches = items[segment.issue_ids[items] == issue_id]
            if len(matches):
                return _query_issue(segment, int(matches[-1]), repo)
        return None

    def find_in_index(self, url: str) -> QueryIssue | None:
        """Returns the latest issue with this URL, in any letter case.

        Searches only the repository in the URL. Returns None if the index does not have the issue in this
        repository. Unlike `find`, this method does not find issues of renamed repositories.
        """
        named = repository_of(url)
        issue = self._find(url, named)
        if issue is None and (stored := self._repository_named(named)) not in (None, named):
            issue = self._find(url, str(stored))
        return issue

    def older_in_repository(self, query_issue: QueryIssue) -> Comparison | None:
        """Compares an issue of the index with older candidates from its repository.

        The result is the comparison from which the stage `index` made the issue's stored list. Returns None
        if the index has no terms.
        """
        assert query_issue.repo is not None
        segments = self._segments_of(query_issue.repo)
        if query_issue.terms is None or not all(segment.has_terms for segment in segments):
            return None
        return _compare_older(query_issue, self._repository(segments, query_issue.repo))

    def _stored_probabilities(
        self, query_issue: QueryIssue, repository: RepositoryItems, prepared: PreparedRepository
    ) -> dict[int, float]:
        """Maps the ids of an issue's older candidates to their probabilities. If `query_issue` is a text,
        returns an empty dict.

        The probabilities are the same as in the stored lists: words are counted only in the repository's
        issues up to the source day of `query_issue`, and only older issues are candidates. `repository` has
        all issues of the repository, and `prepared` was computed for all of them.
        """
        if query_issue.day is None:
            return {}
        comparison = _compare_older(query_issue, repository, prepared)
        probabilities = probabilities_of(self._ordering, comparison.features())
        return dict(zip(comparison.issue_ids.tolist(), probabilities.tolist(), strict=True))

    def repository(self, name: str) -> str:
        """Returns the exact name of the repository that is called `name` in any letter case. Raises
        UsageError if the index has no issue of this repository."""
        if any(segment.of_repository(name) for segment in self._segments_of(name)):
            return name
        stored = self._repository_named(name)
        if stored is None:
            raise unknown_repository(self._release, name)
        return stored

    def _find_name(self, name: str) -> str | None:
        """Returns the exact name of the latest repository that is called `name` in any letter case, or None.
        Searches all segments, because only the exact name of a repository says which segments have its
        issues."""
        names = (segment.repository_named(name) for segment in reversed(self._segments))
        return next((stored for stored in names if stored is not None), None)

    def _find(self, url: str, repo: str) -> QueryIssue | None:
        for segment in reversed(self._segments_of(repo)):
            items = np.asarray(segment.of_repository(repo), dtype=np.int64)
            urls = segment.rows(items, SHOWN).column("issue_url")
            matches = items[pc.equal(pc.utf8_lower(urls), url.lower()).to_numpy()]
            if len(matches):
                return _query_issue(segment, int(matches[-1]), repo)
        return None

    def hits_everywhere(self, query_issues: Sequence[QueryIssue], count: int) -> Sequence[Hits | None]:
        """Returns, for each issue or text, the candidates for a list of `count` issues from all repositories.

        The candidates can be passed to `similar`, which otherwise searches for them itself. They are valid
        only for a search without `since`. Searching for several issues together takes less time per issue. If
        the index has no terms, returns None for each issue, because `similar` then searches in another way.
        """
        if not self._has_terms:
            return [None] * len(query_issues)
        vectors = np.stack([query_issue.vector for query_issue in query_issues])
        hits = self._hits_everywhere(vectors, compared_everywhere(count) + 1, None)
        return [hits.of_queries(number, number + 1) for number in range(len(query_issues))]

    def similar(
        self, query_issue: QueryIssue, search_request: Search, hits: Hits | None = None
    ) -> list[dict[str, Any]]:
        """Returns the rows of the requested lists of similar issues. The list of a repository comes first.

        In each list, the most probable duplicate comes first. `hits` are the candidates for the list from all
        repositories, as `hits_everywhere` returns them. If `hits` is None, this method searches for them. If
        `query_issue` is an issue of the index, its lists may also contain newer issues. Older issues of its
        repository have the same probabilities as in the list that the release stores.

        A row is a dict with the keys `list`, `issue_url`, `title`, `distance` (angular, 0 to 2),
        `probability`, `title_overlap`, `age_days`, `similar_text`, `group_size` and `terms` (the terms that
        both issues contain). An index of an earlier version of Titler has no terms. Its lists have the
        nearest issue first, and the values of `probability` and all later keys are None.
        """
        if query_issue.terms is None or not self._has_terms:
            return self._nearest(query_issue, search_request)
        vector, own_id = query_issue.vector[None, :], np.array([query_issue.issue_id])
        query_batch = QueryBatch(
            Queries(vector, midnight(search_request.since) if search_request.since else None),
            query_issue.terms,
            np.array([query_issue.opened_at]),
            own_id,
        )
        rows, own_probabilities = [], dict[int, float]()
        # The list of all repositories takes the probabilities that issues have in the own repository.
        for repo in dict.fromkeys(
            [search_request.repo, query_issue.repo if search_request.everywhere else None]
        ):
            if repo is None:
                continue
            segments = self._segments_of(repo)
            repository = self._repository(segments, repo)
            prepared = PreparedRepository.of(
                repository, query_issue.terms, cosines_with(repository, query_batch.queries)
            )
            is_own = repo == query_issue.repo
            stored = self._stored_probabilities(query_issue, repository, prepared) if is_own else {}
            ((listed, by_id),) = lists_in_repository(
                repository, query_batch, search_request.count, self._ordering, stored, prepared
            )
            own_probabilities |= by_id
            if repo == search_request.repo:
                rows += rows_with_reasons(REPOSITORY_LIST, segments, listed)
        if search_request.everywhere:
            if hits is None:
                hits = self._hits_everywhere(
                    vector, compared_everywhere(search_request.count) + 1, search_request.since
                )
            (listed,) = lists_everywhere(
                self._segments,
                hits,
                query_batch,
                self._sample,
                [own_probabilities],
                search_request.count,
                self._ordering,
            )
            rows += rows_with_reasons(EVERYWHERE_LIST, self._segments, listed)
        return rows

    def _nearest(self, query_issue: QueryIssue, search_request: Search) -> list[dict[str, Any]]:
        """Returns the requested lists of an index that has no terms, ordered only by distance."""
        vector, rows = query_issue.vector[None, :], []
        if search_request.repo:
            segments = self._segments_of(search_request.repo)
            repository = self._repository(segments, search_request.repo)
            queries = Queries(vector, midnight(search_request.since) if search_request.since else None)
            hits = search_exactly(repository, queries, search_request.count + 1)
            hits = replace(hits, segments=repository.segments[hits.items], items=repository.items[hits.items])
            rows += rows_without_reasons(
                REPOSITORY_LIST,
                rows_with_distances(segments, hits, ["issue_id", *SHOWN]),
                query_issue.issue_id,
                search_request.count,
            )
        if search_request.everywhere:
            hits = self._hits_everywhere(vector, search_request.count + 1, search_request.since)
            rows += rows_without_reasons(
                EVERYWHERE_LIST,
                rows_with_distances(self._segments, hits, ["issue_id", *SHOWN]),
                query_issue.issue_id,
                search_request.count,
            )
        return rows

    @cached_property
    def _has_terms(self) -> bool:
        return all(segment.has_terms for segment in self._segments)

    @cached_property
    def _sample(self) -> Background:
        """Up to SAMPLE_SIZE issues of the latest segment. A search in all repositories counts the frequencies
        of words in these issues and in its candidates."""
        if not self._segments:
            return NO_BACKGROUND
        latest = self._segments[-1]
        items = np.arange(0, latest.items, max(1, latest.items // SAMPLE_SIZE))[:SAMPLE_SIZE]
        return Background(take_terms(latest.terms, items))

    def _repository(self, segments: Sequence[Segment], repo: str) -> RepositoryItems:
        slices = [(position, segment.of_repository(repo)) for position, segment in enumerate(segments)]
        return read_repository(segments, [(position, items) for position, items in slices if items])

    def _hits_everywhere(self, vectors: Vectors, count: int, since: date | None) -> Hits:
        opened_since = midnight(since) if since else self._months_before()
        queries = Queries(vectors, opened_since)
        return search(self._segments, queries, count, self._settings.index, self._recent)

    def _months_before(self) -> int:
        """Returns a time in microseconds since 1970. If a search has no `since`, its list of all repositories
        has only issues that were opened at this time or later."""
        return months_before(self._release.plan.days[-1].day, self._settings.similar.months)

    def _segments_of(self, repo: str) -> list[Segment]:
        return [
            segment
            for segment, (group, groups) in zip(self._segments, self._groups, strict=True)
            if repository_group(repo, groups) == group
        ]


def _query_issue(segment: Segment, item: int, repo: str) -> QueryIssue:
    """Returns an item of a segment as a query."""
    return QueryIssue(
        segment.vectors[item].astype(np.float32),
        segment.terms.slice(item, item + 1) if segment.has_terms else None,
        int(segment.created_at[item]),
        int(segment.issue_ids[item]),
        repo,
        str(np.datetime64(int(segment.source_days[item]), "D")),
    )


def _compare_older(
    query_issue: QueryIssue, repository: RepositoryItems, prepared: PreparedRepository | None = None
) -> Comparison:
    """Compares an issue of the index with older candidates from its repository. The issue must have terms.
    `prepared` was computed for all issues of the repository."""
    assert query_issue.terms is not None
    assert query_issue.day is not None
    day = int(np.datetime64(query_issue.day, "D").astype(np.int64))
    opened_at, issue_id = np.array([query_issue.opened_at]), np.array([query_issue.issue_id])
    ages = Ages(opened_at, issue_id, np.array([day]))
    queries = Queries(query_issue.vector[None, :], None, ages)
    query_batch = QueryBatch(queries, query_issue.terms, opened_at, issue_id)
    older = repository.until(day)
    if prepared is not None and len(older) < len(repository):
        prepared = PreparedRepository.of(older, query_issue.terms, prepared.cosines)
    (comparison,) = compare_in_repository(older, query_batch, prepared=prepared)
    return comparison


def open_segments(release: Pinned, settings: Settings) -> SegmentedIndex:
    """Opens the index of a release. Raises UsageError if the release has no segments yet."""
    manifests = release.members[SEGMENTS.name]
    read_row_group = lru_cache(ROW_GROUPS_REMEMBERED)(Segment.row_group)
    segments = [Segment.of_batch(release.lake, manifest, read_row_group) for manifest in manifests]
    groups = [_group_of(manifest) for manifest in manifests]
    return SegmentedIndex(release, segments, groups, settings, ordering_of_release(release))


def _group_of(manifest: Manifest) -> tuple[int, int]:
    number, _, groups = manifest.partition["repositories"].partition("-of-")
    return int(number) - 1, int(groups)


def midnight(day: date) -> int:
    """Returns the first moment of a day, in microseconds since 1970."""
    return int(np.datetime64(day, "us").astype(np.int64))
