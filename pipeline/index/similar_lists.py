"""Finds two lists of similar issues for an issue or text: one from its repository, and one from all
repositories.

The issue or text is called the query. The first list has two kinds of candidates: the issues of the
repository whose vectors are nearest to the query's, and those whose words match its words best. The
candidates of the second list are recent issues (see the setting `similar.months`) whose vectors are nearest
to the query's. The class `Comparison` chooses the issues of a list from its candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pipeline.index.comparison import Comparison, Floats, Listed, probabilities_of, text_groups
from pipeline.index.ordering import Ordering
from pipeline.index.queries import Hits, Queries, Vectors
from pipeline.index.repository_items import RepositoryItems
from pipeline.index.repository_words import RepositoryWords
from pipeline.index.segment import Numbers, Segment
from pipeline.index.segment_search import exact_cosines, search_exactly
from pipeline.index.segment_terms import take_terms
from pipeline.index.term_frequencies import Background
from pipeline.text.issue_terms import IssueTerms

CANDIDATES = 100
"""Number of issues of a repository that are found by vector, and number of issues that are found by words, to
be compared with a query. If a longer list is requested, the number is the length of the list."""
GROUP_CANDIDATES = 10
"""If many issues of a repository have the same text, only this many, the oldest, are candidates. Otherwise
they would take the places of other candidates."""
EVERYWHERE_CANDIDATES = 3
"""Number of issues of all repositories that are compared with a query, per issue of its list."""
SHORTEST_COMPARED = 10
"""For a list of fewer issues than this, as many are compared as for a list of this length. So the shorter
list is the beginning of the longer one, with the same probabilities."""
_ITEM_BITS = 40
"""Number of bits for an item in a number that stands for a segment and an item."""
NOTHING_STORED: Mapping[int, float] = MappingProxyType({})


def compared_everywhere(count: int) -> int:
    """Returns how many issues of all repositories are compared with a query for a list of `count` issues."""
    return EVERYWHERE_CANDIDATES * max(count, SHORTEST_COMPARED)


@dataclass(frozen=True)
class QueryBatch:
    """n issues or texts for which similar issues are searched.

    They are described by their vectors (`queries`), their terms (words), the times when they were opened (in
    microseconds since 1970), and their ids, which are 0 for texts.
    """

    queries: Queries
    terms: IssueTerms
    opened_at: Numbers
    issue_ids: Numbers

    def take(self, rows: Numbers) -> QueryBatch:
        """Returns only the issues and texts at the positions `rows`."""
        return QueryBatch(
            self.queries.take(rows),
            take_terms(self.terms, rows),
            self.opened_at[rows],
            self.issue_ids[rows],
        )

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True)
class PreparedRepository:
    """Values that a search in a repository needs. They are computed once for all queries of the search.

    `words` says where the words of the queries occur in the repository's issues. `is_eligible` says whether
    each issue may be a candidate. `cosines` (queries, issues) is None if the cosines are not computed yet.
    """

    words: RepositoryWords
    is_eligible: npt.NDArray[np.bool_]
    cosines: Vectors | None

    @classmethod
    def of(
        cls, repository: RepositoryItems, queries: IssueTerms, cosines: Vectors | None = None
    ) -> PreparedRepository:
        """Prepares a search in `repository`. `queries` has the terms of the issues or texts to search for.
        `cosines` is the field of the same name. `repository.terms` must not be None."""
        assert repository.terms is not None
        words = RepositoryWords(repository.terms, queries)
        return cls(words, _first_of_groups(repository.terms, words.has_template_body), cosines)


def lists_in_repository(
    repository: RepositoryItems,
    query_batch: QueryBatch,
    count: int,
    ordering: Ordering,
    stored: Mapping[int, float] = NOTHING_STORED,
    prepared: PreparedRepository | None = None,
) -> Iterator[tuple[Listed, Mapping[int, float]]]:
    """Yields, for each query, its list of similar issues from a repository, and the candidates'
    probabilities.

    The list has up to `count` issues. The probabilities are a dict from the issue id to the probability of
    each candidate. If `stored` has the id of a candidate, the probability in `stored` is used instead of the
    computed one. If `stored` is given, there must be only one query, because `stored` is used for every
    query. `prepared` is computed if it is None. The repository must have terms.
    """
    for comparison in compare_in_repository(repository, query_batch, max(CANDIDATES, count), prepared):
        features = comparison.features()
        computed, ids = probabilities_of(ordering, features), comparison.issue_ids.tolist()
        by_id = {id_: stored.get(id_, each) for id_, each in zip(ids, computed.tolist(), strict=True)}
        probabilities = np.array([by_id[id_] for id_ in ids], computed.dtype)
        yield comparison.chosen(features, probabilities, count), by_id


def compare_in_repository(
    repository: RepositoryItems,
    query_batch: QueryBatch,
    candidates: int = CANDIDATES,
    prepared: PreparedRepository | None = None,
) -> Iterator[Comparison]:
    """Yields the comparison of each query with its candidates in a repository.

    Up to `candidates` issues are found by their vectors, and up to `candidates` issues by their words.
    `prepared` is computed if it is None. The repository must have terms.
    """
    assert repository.terms is not None
    older_only = query_batch.queries.ages is not None
    older_counts = (
        repository.before(query_batch.issue_ids) if older_only else np.full(len(query_batch), len(repository))
    )
    prepared = prepared or PreparedRepository.of(repository, query_batch.terms)
    words, is_eligible = prepared.words, prepared.is_eligible
    # The query may be among its own hits.
    hits = search_exactly(repository, query_batch.queries, candidates + 1, is_eligible, prepared.cosines)
    for query, own in enumerate(_slices(hits, len(query_batch))):
        by_words = words.best(query, int(older_counts[query]), candidates + 1, is_eligible)
        positions, own_cosines = _candidates(repository, query_batch, query, by_words, hits, own)
        yield Comparison(
            words,
            query,
            int(query_batch.terms.body_hashes[query]),
            int(query_batch.opened_at[query]),
            positions,
            take_terms(repository.terms, positions),
            repository.segments[positions],
            repository.items[positions],
            own_cosines,
            repository.created_at[positions],
            repository.issue_ids[positions],
        )


def _first_of_groups(issues: IssueTerms, has_template_body: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Returns, for each issue of a repository, whether it may be a candidate.

    If more than GROUP_CANDIDATES issues have the same text, only the oldest GROUP_CANDIDATES of them may be
    candidates.
    """
    groups = text_groups(issues, has_template_body)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=~groups[order][:1]))
    places = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    is_eligible = np.empty(len(order), np.bool_)
    is_eligible[order] = places < GROUP_CANDIDATES
    return is_eligible


def _candidates(
    repository: RepositoryItems,
    query_batch: QueryBatch,
    query: int,
    by_words: Numbers,
    hits: Hits,
    own: slice,
) -> tuple[Numbers, Floats]:
    """Returns the positions of the candidates in the repository, and their cosines. The candidates are the
    nearest issues by vector (the slice `own` of `hits`), and those issues in `by_words` that meet the
    conditions of the query (see `Queries`). The query itself is left out."""
    rows = np.full(len(by_words), query)
    by_words = by_words[query_batch.queries.allowed(rows, repository, by_words)]
    only_by_words = np.setdiff1d(by_words, hits.items[own])
    cosines = exact_cosines(repository, only_by_words, query_batch.queries, rows[: len(only_by_words)])
    positions = np.concatenate([hits.items[own], only_by_words])
    is_other = repository.issue_ids[positions] != query_batch.issue_ids[query]
    all_cosines = np.concatenate([1 - hits.distances[own] ** 2 / 2, cosines])
    return positions[is_other], all_cosines[is_other]


def lists_everywhere(
    segments: Sequence[Segment],
    hits: Hits,
    query_batch: QueryBatch,
    background: Background,
    own_probabilities: Sequence[Mapping[int, float]],
    count: int,
    ordering: Ordering,
) -> Iterator[Listed]:
    """Yields, for each query, its list of up to `count` similar issues from all repositories.

    The candidates of a query are its `hits`. The frequency of a word is counted in the candidates of all
    queries and in the issues of `background`. The candidates of one query alone would not be enough: most of
    them contain the words of the query's subject, so these words would not count as rare.

    `own_probabilities` has a dict per query: it maps the ids of candidates in the query's repository to their
    probabilities. These are used instead of computed ones, because they are based on the word frequencies of
    the whole repository. The segments must have terms.
    """
    terms, rows = _terms_of_hits(segments, hits)
    created_at, issue_ids = times_and_ids(segments, hits)
    words = RepositoryWords(terms, query_batch.terms, background)
    for query, own in enumerate(_slices(hits, len(query_batch))):
        own_hits = own.start + np.flatnonzero(issue_ids[own] != query_batch.issue_ids[query])
        comparison = Comparison(
            words,
            query,
            int(query_batch.terms.body_hashes[query]),
            int(query_batch.opened_at[query]),
            rows[own_hits],
            take_terms(terms, rows[own_hits]),
            hits.segments[own_hits],
            hits.items[own_hits],
            1 - hits.distances[own_hits] ** 2 / 2,
            created_at[own_hits],
            issue_ids[own_hits],
        )
        features = comparison.features()
        pairs = zip(comparison.issue_ids.tolist(), probabilities_of(ordering, features).tolist(), strict=True)
        probabilities = np.array(
            [
                own_probabilities[query].get(issue_id, default_probability)
                for issue_id, default_probability in pairs
            ]
        )
        yield comparison.chosen(features, probabilities, count)


def _slices(hits: Hits, queries: int) -> list[slice]:
    """Returns which hits belong to each query."""
    bounds = np.searchsorted(hits.queries, np.arange(queries + 1)).tolist()
    return [slice(start, end) for start, end in pairwise(bounds)]


def _terms_of_hits(segments: Sequence[Segment], hits: Hits) -> tuple[IssueTerms, Numbers]:
    """Returns the terms of the issues in `hits`, and the position of each hit's issue among these issues. The
    terms of each issue are read only once."""
    issues, rows = np.unique(hits.segments << _ITEM_BITS | hits.items, return_inverse=True)
    positions, items = issues >> _ITEM_BITS, issues & (1 << _ITEM_BITS) - 1
    starts = np.flatnonzero(np.diff(positions, prepend=-1)).tolist()
    parts = [
        take_terms(segments[int(positions[start])].terms, items[start:end])
        for start, end in pairwise([*starts, len(items)])
    ]
    return IssueTerms.concatenate(parts), rows


def times_and_ids(segments: Sequence[Segment], hits: Hits) -> tuple[Numbers, Numbers]:
    """Returns the times when the issues in `hits` were opened (in microseconds since 1970), and their ids."""
    created_at, issue_ids = (np.empty(len(hits), np.int64) for _ in range(2))
    for position in np.unique(hits.segments).tolist():
        own = np.flatnonzero(hits.segments == position)
        items = hits.items[own]
        created_at[own] = segments[position].created_at[items]
        issue_ids[own] = segments[position].issue_ids[items]
    return created_at, issue_ids
