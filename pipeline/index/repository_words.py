"""Searches the issues of a repository by words, with BM25.

BM25 is that of Robertson and Zaragoza, The Probabilistic Relevance Framework (2009). Three things differ. A
term in a title counts as several occurrences. A query's term counts more if it stands in the query's title.
The weight of a rare term grows with the power RARITY_POWER of its inverse document frequency, because what
duplicates share is rare.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.text.issue_terms import IN_TITLE, IssueTerms

K1: Final = 2.0
B: Final = 0.75
OCCURRENCES_OF_TITLE: Final = 4
"""A term in an issue's title counts as this many further occurrences."""
TITLE_WEIGHT: Final = 3.0
"""A term in the query's title counts this many times as much as one in its body only."""
RARITY_POWER: Final = 1.5
MAX_SHARE: Final = 0.2
"""Terms that stand in a larger share of the issues count nothing: a template's words and common ones."""
MIN_COMMON: Final = 20
"""Terms that stand in no more issues than this always count: in a small repository a share says little."""
MIN_SAME_BODY: Final = 5
"""A body of which this many issues have the same is a template: the words in it count nothing."""
_FILTER_BITS: Final = 20


class RepositoryWords:
    """The words of the queries, and in which issues of a repository they stand.

    `issues` are sorted by age. It takes one pass over the terms of the issues, and time in proportion to the
    occurrences of the queries' terms.
    """

    def __init__(self, issues: IssueTerms, queries: IssueTerms) -> None:
        self.issues, self.queries = issues, queries
        self.mean_length = max(len(issues.terms) / max(len(issues), 1), 1.0)
        self._template_bodies = _template_bodies(issues)
        vocabulary, self._columns = np.unique(queries.terms, return_inverse=True)
        places, columns = self._occurrences(vocabulary)
        frequency = np.bincount(columns, minlength=len(vocabulary))
        idf = np.log(1 + (len(issues) - frequency + 0.5) / (frequency + 0.5))
        is_common = frequency > max(MAX_SHARE * len(issues), MIN_COMMON)
        self._weights = np.where(is_common, 0.0, idf**RARITY_POWER)
        rare = ~is_common[columns]
        self._set_postings(places[rare], columns[rare], len(vocabulary))

    def weights(self, query: int) -> NDArray[np.float64]:
        """Returns the weight of each term of a query: 0 if it is too common or in a template's body."""
        first, end = self.queries.offsets[query : query + 2]
        weights: NDArray[np.float64] = self._weights[self._columns[first:end]]
        if self.queries.body_hashes[query] in self._template_bodies:
            weights = np.where(self.queries.kinds[first:end] & IN_TITLE, weights, 0.0)
        return weights

    def has_template_body(self, items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Returns whether the bodies of some issues are templates that nobody filled in."""
        is_template: NDArray[np.bool_] = np.isin(self.issues.body_hashes[items], self._template_bodies)
        return is_template

    def best(self, query: int, before: int, count: int) -> NDArray[np.int64]:
        """Returns the positions of the issues with the highest BM25 among the first `before` issues.

        There are at most `count`, best first; issues without a common word are left out. Of issues with the
        same score, the older ones come first.
        """
        first, end = self.queries.offsets[query : query + 2]
        in_title = self.queries.kinds[first:end] & IN_TITLE > 0
        weights = self.weights(query) * np.where(in_title, TITLE_WEIGHT, 1.0)
        columns = self._columns[first:end]
        starts, ends = self._starts[columns], self._starts[columns + 1]
        counted = np.flatnonzero(weights)
        if not len(counted) or before <= 0:
            return np.zeros(0, np.int64)
        runs = [slice(starts[term], ends[term]) for term in counted]
        rows = np.concatenate([self._rows[run] for run in runs])
        values = np.concatenate(
            [self._values[run] * weights[term] for run, term in zip(runs, counted, strict=True)]
        )
        scores = np.bincount(rows, values, minlength=len(self.issues))[:before]
        positions = np.flatnonzero(scores)
        if len(positions) > count:
            limit = np.partition(scores[positions], len(positions) - count)[len(positions) - count]
            positions = positions[scores[positions] >= limit]
        order = np.argsort(-scores[positions], kind="stable")
        best: NDArray[np.int64] = positions[order[:count]]
        return best

    def _occurrences(self, vocabulary: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns where the issues have a word of the vocabulary, and the number of that word.

        Most terms of a repository are in no query. A table of the last bits of the queries' hashes finds
        nearly all of these in one pass, so that only the others have to be searched for.
        """
        issues, mask = self.issues, np.uint32((1 << _FILTER_BITS) - 1)
        is_possible = np.zeros(1 << _FILTER_BITS, np.bool_)
        is_possible[vocabulary & mask] = True
        places = np.flatnonzero(is_possible[issues.terms & mask])
        terms = issues.terms[places]
        columns = np.searchsorted(vocabulary, terms)
        known = (columns < len(vocabulary)) & (np.append(vocabulary, np.uint32(0))[columns] == terms)
        return places[known], columns[known]

    def _set_postings(self, places: NDArray[np.int64], columns: NDArray[np.int64], words: int) -> None:
        """Sorts occurrences by word: the issues of word w are `_rows[_starts[w] : _starts[w + 1]]`."""
        issues = self.issues
        rows = np.searchsorted(issues.offsets, places, side="right") - 1
        if len(self._template_bodies):
            is_template = self.has_template_body(np.arange(len(issues)))
            counted = ~is_template[rows] | (issues.kinds[places] & IN_TITLE > 0)
            places, columns, rows = places[counted], columns[counted], rows[counted]
        # NumPy sorts numbers of 16 bits by radix, which is many times faster.
        order = np.argsort(columns.astype(np.uint16 if words <= 1 << 16 else np.uint32), kind="stable")
        places, self._rows = places[order], rows[order]
        lengths = np.diff(issues.offsets)[self._rows] / self.mean_length
        self._values = saturation(issues.counts[places], issues.kinds[places], lengths)
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=words))])


def saturation(
    counts: NDArray[np.uint8], kinds: NDArray[np.uint8], lengths: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Returns what BM25 makes of the occurrences of terms: 0 to K1 + 1.

    `lengths` are the numbers of distinct terms of each term's issue, divided by the average of all issues.
    """
    occurrences = counts + np.float32(OCCURRENCES_OF_TITLE) * (kinds & IN_TITLE)
    return (occurrences * (K1 + 1) / (occurrences + K1 * (1 - B + B * lengths))).astype(np.float32)


def _template_bodies(issues: IssueTerms) -> NDArray[np.uint64]:
    """Returns the hashes of bodies that MIN_SAME_BODY issues or more have in common."""
    hashes, counts = np.unique(issues.body_hashes, return_counts=True)
    return hashes[(counts >= MIN_SAME_BODY) & (hashes != 0)]
