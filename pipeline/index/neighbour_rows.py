"""Finds, for each issue of some days, similar older issues and probable duplicates.

Each issue gets two lists of similar issues: one from its repository, and one from all repositories. The lists
are rows of similar_issues_v2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import EVERYWHERE_LIST, REPOSITORY_LIST
from pipeline.index.comparison import TEXTS, Listed
from pipeline.index.duplicate_pairs import Pairs, probable_pairs
from pipeline.index.list_rows import hit_rows
from pipeline.index.ordering import DEFAULT_ORDERING, Ordering
from pipeline.index.queries import Ages, Hits, Queries
from pipeline.index.release_days import EmbeddingMatrix
from pipeline.index.repository_items import RepositoryItems, find_repositories, read_repository
from pipeline.index.segment import Numbers, Segment, days_since_1970, microseconds, unmap_all
from pipeline.index.segment_search import search
from pipeline.index.segment_terms import take_terms
from pipeline.index.similar_lists import (
    EVERYWHERE_CANDIDATES,
    QueryBatch,
    lists_everywhere,
    lists_in_repository,
    times_and_ids,
)
from pipeline.index.term_frequencies import Background
from pipeline.settings import Index
from pipeline.text.issue_terms import IssueTerms, term_words

QUERIES_PER_BLOCK = 2048
"""Number of issues whose candidates' terms are held in memory together."""
REPOSITORIES_PER_BLOCK = 64
"""Number of repositories that are read before the segments' files are unmapped."""


@dataclass(frozen=True)
class Lists:
    """The lists of similar issues, and the probable duplicates, of the issues given to `find_lists`.

    `listed` has the similar issues of all lists. Three arrays say where each similar issue is listed:
    `queries` has the position of the issue to which the list belongs, among the given issues. `names` has the
    name of the list ("repository" or "everywhere"). `ranks` has the rank in the list, from 1. `pairs` are the
    probable duplicates. Some of them may not be in the lists.
    """

    queries: Numbers
    names: pa.Array
    ranks: Numbers
    listed: Listed
    pairs: Pairs


def find_lists(
    segments: Sequence[Segment],
    issues: pa.Table,
    vectors: EmbeddingMatrix,
    opened_since: int,
    count: int,
    settings: Index,
    ordering: Ordering = DEFAULT_ORDERING,
) -> Lists:
    """Finds two lists of similar older issues for each issue: one from its repository, and one from all
    repositories. A list has up to `count` issues.

    `issues` have the columns that `read_items` returns, and `vectors` (issues, size) are their embeddings.
    All of these issues must be in the segments, too. The list from all repositories has only issues that were
    opened at `opened_since` (microseconds since 1970) or later.
    """
    ages = Ages(
        microseconds(issues.column("created_at")),
        issues.column("issue_id").to_numpy(),
        days_since_1970(issues.column("day")),
    )
    queries = Queries(vectors.astype(np.float32), None, ages)
    queries_anywhere = Queries(queries.vectors, opened_since, ages)
    candidates = EVERYWHERE_CANDIDATES * count
    hits = search(segments, queries_anywhere, candidates, settings, one_at_a_time=True)
    in_repositories = list(_in_repositories(segments, issues.column("repo"), queries, hits, count, ordering))
    in_repositories.sort(key=lambda own_list: own_list.query)
    terms = IssueTerms.concatenate([own_list.terms for own_list in in_repositories])
    query_batch = QueryBatch(queries, terms, ages.created_at, ages.issue_ids)
    everywhere: list[Listed] = []
    for first, end in _blocks(ages.source_days):
        block = query_batch.take(np.arange(first, end))
        own_probabilities = [own_list.probabilities for own_list in in_repositories[first:end]]
        everywhere += lists_everywhere(
            segments,
            hits.of_queries(first, end),
            block,
            Background(block.terms),
            own_probabilities,
            count,
            ordering,
        )
        unmap_all(segments)
    return _joined(
        [
            [own_list.listed, everywhere_list]
            for own_list, everywhere_list in zip(in_repositories, everywhere, strict=True)
        ],
        Pairs.joined([own_list.pairs for own_list in in_repositories]),
    )


@dataclass(frozen=True)
class _InRepository:
    """The result of searching an issue's repository: the issue's terms, its list, the probabilities of the
    candidates by issue id, and its probable duplicates (`pairs`)."""

    query: int
    terms: IssueTerms
    listed: Listed
    probabilities: Mapping[int, float]
    pairs: Pairs


def _in_repositories(
    segments: Sequence[Segment],
    repos: pa.ChunkedArray,
    queries: Queries,
    hits: Hits,
    count: int,
    ordering: Ordering,
) -> Iterator[_InRepository]:
    """Yields each issue's list from its repository, one repository after another.

    `hits` are the candidates for the lists from all repositories. The yielded `probabilities` have only
    candidates from the issue's repository that are also in `hits`.
    """
    assert queries.ages is not None
    names = repos.combine_chunks().dictionary_encode()
    slices = find_repositories(segments, names.dictionary.to_pylist())
    _, hit_ids = times_and_ids(segments, hits)
    bounds = np.searchsorted(hits.queries, np.arange(len(queries) + 1)).tolist()
    for number, (name, of_repository) in enumerate(_groups(names.indices.to_numpy())):
        if number % REPOSITORIES_PER_BLOCK == 0:
            unmap_all(segments)
        repository = read_repository(segments, slices[names.dictionary[name].as_py()])
        for day, of_day in _groups(queries.ages.source_days[of_repository]):
            rows = of_repository[of_day]
            for own_list in _of_one_day(repository.until(day), queries, rows, count, ordering):
                ids = hit_ids[bounds[own_list.query] : bounds[own_list.query + 1]].tolist()
                hit_probabilities = {
                    each: own_list.probabilities[each] for each in ids if each in own_list.probabilities
                }
                yield replace(own_list, probabilities=hit_probabilities)


def _blocks(source_days: Numbers) -> Iterator[tuple[int, int]]:
    """Yields blocks of consecutive issues of one source day. A block is a pair: the position of its first
    issue, and the position after its last issue.

    Words are counted per block. If a block had issues of several days, the lists of a day would depend on
    which other days are searched together with it.
    """
    starts = np.flatnonzero(np.diff(source_days, prepend=-1)).tolist()
    for start, end in pairwise([*starts, len(source_days)]):
        parts = -(-(end - start) // QUERIES_PER_BLOCK)  # of equal size: a block of a few has few words
        yield from pairwise(np.linspace(start, end, parts + 1).astype(int).tolist())


def _groups(numbers: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Yields each distinct number and the positions that have it."""
    order = np.argsort(numbers, kind="stable")
    values, starts = np.unique(numbers[order], return_index=True)
    if len(numbers):
        yield from zip(values.tolist(), np.split(order, starts[1:]), strict=True)


def _of_one_day(
    repository: RepositoryItems, queries: Queries, rows: Numbers, count: int, ordering: Ordering
) -> Iterator[_InRepository]:
    """Yields the lists of issues of one source day. `repository` has the issues up to the end of this day
    only. Otherwise the frequencies of words would depend on whether later days are searched together with
    this day."""
    assert repository.terms is not None
    assert queries.ages is not None
    ages = queries.ages.take(rows)
    terms = take_terms(repository.terms, repository.before(ages.issue_ids))
    query_batch = QueryBatch(queries.take(rows), terms, ages.created_at, ages.issue_ids)
    lists = lists_in_repository(repository, query_batch, count, ordering)
    for own, (query, (listed, probabilities)) in enumerate(zip(rows.tolist(), lists, strict=True)):
        pairs = probable_pairs(repository, query, {} if terms.automated[own] else probabilities)
        yield _InRepository(query, terms.slice(own, own + 1), listed, probabilities, pairs)


def _joined(lists: Sequence[Sequence[Listed]], pairs: Pairs) -> Lists:
    """Concatenates the lists of all issues, and adds the probable duplicates `pairs`. `lists` has two lists
    per issue: the one from its repository, then the one from all repositories."""
    lengths = np.array([[len(listed) for listed in of_issue] for of_issue in lists], np.int64).reshape(-1, 2)
    flat = lengths.ravel()
    ranks = np.arange(flat.sum()) - np.repeat(np.cumsum(flat) - flat, flat) + 1
    number = np.repeat(np.tile([0, 1], len(lists)), flat)
    return Lists(
        np.repeat(np.arange(len(lists)), lengths.sum(axis=1)),
        pa.array([REPOSITORY_LIST, EVERYWHERE_LIST]).take(pa.array(number)),
        ranks,
        Listed.joined([listed for of_issue in lists for listed in of_issue]),
        pairs,
    )


def neighbour_rows(
    issues: pa.Table, segments: Sequence[Segment], lists: Lists, near_duplicate_distance: float
) -> pa.Table:
    """Returns the rows of similar_issues_v2 for the lists of some issues.

    The rows have one more column than similar_issues_v2: `day`, the source day of the issue to which the list
    belongs. `issues` has the columns that `read_items` returns, with bodies. A similar issue is marked as a
    near-duplicate if its angular distance is below `near_duplicate_distance`.
    """
    listed = lists.listed
    own = issues.take(pa.array(lists.queries))
    hits = Hits(lists.queries, listed.segments, listed.items, listed.distances)
    similar = hit_rows(segments, hits, ["issue_id", "issue_url", "title", "repo"])
    return pa.table(
        {
            "day": own.column("day"),
            "issue_id": own.column("issue_id"),
            "issue_url": own.column("issue_url"),
            "list": lists.names,
            "rank": lists.ranks,
            "similar_issue_id": similar.column("issue_id"),
            "similar_issue_url": similar.column("issue_url"),
            "similar_title": similar.column("title"),
            "distance": listed.distances,
            "same_repo": pc.equal(own.column("repo"), similar.column("repo")),
            "near_duplicate": listed.distances < near_duplicate_distance,
            "probability": listed.probabilities,
            "words_in_common": _words_in_common(issues, lists),
            "title_overlap": listed.title_overlaps,
            "age_days": np.floor(listed.ages_in_days).astype(np.int64),
            "similar_text": pa.array(TEXTS).take(pa.array(listed.texts)),
            "group_size": listed.group_sizes,
        }
    )


def _words_in_common(issues: pa.Table, lists: Lists) -> list[str]:
    """Returns, for each similar issue, the words that it has in common with the issue to whose list it
    belongs. Each word is written as in the issue that has the list, not as in the similar issue."""
    titles, bodies = (issues.column(name).to_pylist() for name in ("title", "body"))
    texts, words, latest = [], dict[int, str](), -1
    for query, terms in zip(lists.queries.tolist(), lists.listed.terms.tolist(), strict=True):
        if query != latest:
            words, latest = term_words(titles[query], bodies[query]), query
        texts.append(", ".join(words[term] for term in terms if term in words))
    return texts
