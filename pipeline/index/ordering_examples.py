"""Collects the examples with which an ordering is learned and tested: pairs of issues of one repository.

An ordering gives a pair of issues the probability that they are duplicates. A pair consists of a newer issue
and a candidate. A candidate is an older issue. Candidates are found in the same way as for the lists of
similar issues. A pair is a positive example if somebody wrote in a comment that its issues are duplicates.
The newer issues are of two kinds: all issues that somebody called a duplicate, and a sample of the other
issues. The sample is needed because the probabilities must be right for all issues.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.dataset.split import subset_of
from pipeline.index.list_rows import hit_rows
from pipeline.index.marked_duplicates import MarkedPair, issue_number
from pipeline.index.ordering import DEFAULT_ORDERING, FEATURES
from pipeline.index.queries import Ages, Hits, Queries
from pipeline.index.repository_items import RepositoryItems, find_repositories, read_repository
from pipeline.index.segment import Numbers, Segment
from pipeline.index.segment_terms import take_terms
from pipeline.index.similar_lists import QueryBatch, compare_in_repository

UNMARKED_PER_MARKED = 10
"""Number of issues without a mark that are examples, per issue with a mark of the same repository."""
CANDIDATES_OF_UNMARKED = 25
"""For an issue without a mark, only this many candidates are examples: the most probable ones according to
the default ordering."""
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def is_held_out(repo: str) -> bool:
    """Returns whether a repository is held out: no ordering and no title model is trained on its issues."""
    return subset_of(repo) != "train"


@dataclass(frozen=True)
class Examples:
    """n pairs of a newer issue and a candidate. There are m newer issues.

    - `features` (n, len(FEATURES)): the features of each pair
    - `marked` (n,): whether somebody marked the pair as duplicates
    - `issues` (n,): the position of each pair's newer issue among the m newer issues, ascending
    - `repos` (m,): the repository of each newer issue
    - `weights` (m,): how many issues of its repository each newer issue stands for
    - `duplicates` (m,): how many older issues are marked as duplicates of the newer issue, including those
      that are not among its candidates
    """

    features: npt.NDArray[np.float32]
    marked: Bools
    issues: Numbers
    repos: npt.NDArray[np.object_]
    weights: Floats
    duplicates: Numbers

    @property
    def pairs(self) -> int:
        """The number of marked pairs, including those whose older issue is not among the candidates."""
        return int(self.duplicates.sum())

    def of_issues(self, chosen: Bools) -> Examples:
        """Returns only the examples whose newer issue is chosen. `chosen` (m,) has a boolean per newer
        issue."""
        own = chosen[self.issues]
        numbers = np.cumsum(chosen) - 1
        return Examples(
            self.features[own],
            self.marked[own],
            numbers[self.issues[own]],
            self.repos[chosen],
            self.weights[chosen],
            self.duplicates[chosen],
        )

    @classmethod
    def joined(cls, blocks: Sequence[Examples]) -> Examples:
        """Concatenates several objects of this class, in order."""
        empty = cls(
            np.empty((0, len(FEATURES)), np.float32),
            np.empty(0, np.bool_),
            np.empty(0, np.int64),
            np.empty(0, np.object_),
            np.empty(0),
            np.empty(0, np.int64),
        )
        blocks = [empty, *blocks]
        first_numbers = np.cumsum([0, *(len(block.repos) for block in blocks[:-1])])
        return cls(
            np.concatenate([block.features for block in blocks]),
            np.concatenate([block.marked for block in blocks]),
            np.concatenate(
                [block.issues + first for block, first in zip(blocks, first_numbers, strict=True)]
            ),
            np.concatenate([block.repos for block in blocks]),
            np.concatenate([block.weights for block in blocks]),
            np.concatenate([block.duplicates for block in blocks]),
        )


def collect_examples(
    segments: Sequence[Segment], pairs: Sequence[MarkedPair], first_source_day: int
) -> Examples:
    """Returns the examples of all repositories that have a marked pair with both issues in the index.

    Segments that were made by an earlier version of Titler may have no terms. Repositories with issues in
    such a segment are left out.
    `first_source_day` (days since 1970) is the first day with marks. Issues without a mark are used only if
    their source day is this day or a later one.
    """
    of_repository: dict[str, list[MarkedPair]] = {}
    for pair in pairs:
        of_repository.setdefault(pair.repo, []).append(pair)
    slices = find_repositories(segments, sorted(of_repository))
    blocks = []
    for repo, own in slices.items():
        repository = read_repository(segments, own)
        if repository.terms is None:  # a segment of an earlier version of Titler has some of its issues
            continue
        older = _older_of(segments, repository, of_repository[repo])
        if older:
            blocks.append(_of_repository(repo, repository, older, first_source_day))
    return Examples.joined(blocks)


def _older_of(
    segments: Sequence[Segment], repository: RepositoryItems, pairs: Sequence[MarkedPair]
) -> dict[int, set[int]]:
    """Maps the position of each marked newer issue to the ids of older issues marked as its duplicates."""
    own = Hits(repository.items, repository.segments, repository.items, np.zeros(len(repository)))
    urls = hit_rows(segments, own, ["issue_url"]).column("issue_url").to_pylist()
    position_of = {issue_number(url): position for position, url in enumerate(urls)}
    older: dict[int, set[int]] = {}
    for pair in pairs:
        newer_at, older_at = position_of.get(pair.newer), position_of.get(pair.older)
        if newer_at is not None and older_at is not None and older_at < newer_at:
            older.setdefault(newer_at, set()).add(int(repository.issue_ids[older_at]))
    return older


def _of_repository(
    repo: str, repository: RepositoryItems, older: Mapping[int, set[int]], first_source_day: int
) -> Examples:
    """Returns the examples of one repository. `older` is the result of `_older_of`."""
    marked = np.array(sorted(older), np.int64)
    unmarked = np.flatnonzero(repository.source_days >= first_source_day)
    unmarked = np.setdiff1d(unmarked[unmarked > 0], marked)
    count = min(len(unmarked), UNMARKED_PER_MARKED * len(marked))
    sample = np.random.default_rng(zlib.crc32(repo.encode())).choice(unmarked, count, replace=False)
    positions = np.sort(np.concatenate([marked, sample]).astype(np.int64))
    is_marked = np.isin(positions, marked)
    features, labels, numbers = [], [], []
    for number, (values, labels_of_pairs) in enumerate(_compared(repository, positions, older)):
        features.append(values)
        labels.append(labels_of_pairs)
        numbers.append(np.full(len(values), number))
    return Examples(
        np.concatenate(features),
        np.concatenate(labels),
        np.concatenate(numbers),
        np.full(len(positions), repo, np.object_),
        np.where(is_marked, 1.0, len(unmarked) / max(count, 1)),
        np.array([len(older.get(position, ())) for position in positions.tolist()], np.int64),
    )


def _compared(
    repository: RepositoryItems, positions: Numbers, older: Mapping[int, set[int]]
) -> Iterator[tuple[npt.NDArray[np.float32], Bools]]:
    """Yields, for each newer issue, the features of the pairs with its candidates, and whether each pair is
    marked. For an issue without a mark, only the CANDIDATES_OF_UNMARKED most probable pairs are used."""
    assert repository.terms is not None
    ages = Ages(
        repository.created_at[positions], repository.issue_ids[positions], repository.source_days[positions]
    )
    query_batch = QueryBatch(
        Queries(repository.vectors[positions].astype(np.float32), None, ages),
        take_terms(repository.terms, positions),
        ages.created_at,
        ages.issue_ids,
    )
    comparisons = compare_in_repository(repository, query_batch)
    for position, comparison in zip(positions.tolist(), comparisons, strict=True):
        features = comparison.features()
        if position in older:
            yield features, np.isin(comparison.issue_ids, list(older[position]))
            continue
        nearest = np.argsort(-DEFAULT_ORDERING.probabilities(features), kind="stable")
        chosen = nearest[:CANDIDATES_OF_UNMARKED]
        yield features[chosen], np.zeros(len(chosen), np.bool_)
