"""Searches the issues of a repository by words, with BM25.

Source: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond". There are three
differences. A term in a title counts as several occurrences. A term of the query counts more if it is in the
query's title. The weight of a term is its inverse document frequency to the power RARITY_POWER, because the
terms that duplicates share are rare.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.index.term_frequencies import NO_BACKGROUND, Background, BucketCounts
from pipeline.text.issue_terms import IN_TITLE, IssueTerms

K1: Final = 2.0
B: Final = 0.75
OCCURRENCES_OF_TITLE: Final = 4
"""A term in an issue's title counts as this many further occurrences."""
TITLE_WEIGHT: Final = 3.0
"""A term in the query's title counts this many times as much as a term that is only in its body."""
RARITY_POWER: Final = 1.5
MAX_SHARE: Final = 0.2
"""Terms that occur in a larger share of the issues have no weight. They are common words, or words of a
template."""
MIN_COMMON: Final = 20
"""Terms that occur in at most this many issues always count, because MAX_SHARE says little about a small
repository."""
MAX_COMMON: Final = 10_000
"""Terms that occur in more issues than this never count, so that a search in a large repository is fast."""
MAX_OCCURRENCES: Final = 50_000
"""A search by words reads about this many occurrences. It begins with the terms that have the largest
weights."""
MIN_SAME_BODY: Final = 5
"""If at least this many issues have the same body, the body is a template, and its words do not count."""
_FEW_TERMS: Final = 1 << 18
"""For at most this many terms, `_occurrences` uses a table of 16 bits, which is made faster than one of 20
bits."""


class RepositoryWords:
    """The terms (words) of some queries, and where they occur in the issues of a repository.

    `issues` are the issues of the repository, sorted by age. `background` has other issues, which are not
    searched. The frequencies of terms are counted in both. The constructor makes one pass over the terms of
    the issues. Apart from this pass, the time that the constructor needs is proportional to the number of
    occurrences of the queries' terms.
    """

    def __init__(
        self, issues: IssueTerms, queries: IssueTerms, background: Background = NO_BACKGROUND
    ) -> None:
        self.issues, self.queries, self._background = issues, queries, background
        self._count = len(issues) + len(background)
        self.mean_length = max((len(issues.terms) + background.total) / max(self._count, 1), 1.0)
        template_bodies = _template_bodies(np.concatenate([issues.body_hashes, background.body_hashes]))
        self.has_template_body = np.isin(issues.body_hashes, template_bodies, kind="sort")
        self._query_has_template_body = np.isin(queries.body_hashes, template_bodies, kind="sort")
        self._max_frequency = min(max(MAX_SHARE * self._count, MIN_COMMON), MAX_COMMON)
        self._buckets = BucketCounts(issues.terms)
        self._vocabulary, self._columns = np.unique(queries.terms, return_inverse=True)
        is_common = self._bucket_sizes(self._vocabulary) > self._max_frequency
        self._places, self._words = self._occurrences(is_common)
        frequency = np.bincount(self._words, minlength=len(self._vocabulary))
        frequency += background.frequencies(self._vocabulary)
        self._weights = np.where(is_common, 0.0, self._rarity(frequency))

    def _bucket_sizes(self, terms: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Returns, for each of `terms`, about how many issues have it, including those of the background.

        All terms in the same bucket are counted together, see `term_frequencies`.
        """
        return self._buckets.of(terms) + self._background.buckets.of(terms)

    def weights(self, query: int) -> NDArray[np.float64]:
        """Returns the weight of each term of a query.

        The weight is 0 if the term is too common, or if the query's body is only a template and the term is
        not in the title.
        """
        first, end = self.queries.offsets[query : query + 2]
        weights: NDArray[np.float64] = self._weights[self._columns[first:end]]
        if self._query_has_template_body[query]:
            weights = np.where(self.queries.kinds[first:end] & IN_TITLE, weights, 0.0)
        return weights

    def weights_of_issues(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the weights of some terms of the issues. `places` are their positions in `issues.terms`.

        The weights are approximate, because terms whose hashes end in the same bits are counted together.
        This is faster than exact counts, for which all terms would have to be sorted. The error is small:
        few terms share these bits with a frequent term.
        """
        frequency = self._bucket_sizes(self.issues.terms[places])
        weights: NDArray[np.float64] = np.where(frequency > self._max_frequency, 0.0, self._rarity(frequency))
        return weights

    def _rarity(self, frequency: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the weight of terms that occur in `frequency` issues."""
        count = self._count
        rarity: NDArray[np.float64] = np.log(1 + np.maximum(count - frequency + 0.5, 0) / (frequency + 0.5))
        return rarity**RARITY_POWER

    def best(
        self, query: int, older_count: int, count: int, is_eligible: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Returns the positions of the issues with the highest BM25 scores, the best first.

        Only the first `older_count` issues are searched. At most `count` positions are returned. Issues that
        share no term with the query are left out, and so are issues for which `is_eligible` is false. Of
        issues with the same score, the older ones come first.
        """
        first, end = self.queries.offsets[query : query + 2]
        in_title = self.queries.kinds[first:end] & IN_TITLE > 0
        weights = self.weights(query) * np.where(in_title, TITLE_WEIGHT, 1.0)
        columns = self._columns[first:end]
        all_rows, all_values, bounds = self._postings
        starts, ends = bounds[columns], bounds[columns + 1]
        ranked = np.argsort(-weights, kind="stable")
        occurrences_so_far = np.cumsum((ends - starts)[ranked])
        counted = ranked[
            (weights[ranked] > 0) & (occurrences_so_far - (ends - starts)[ranked] <= MAX_OCCURRENCES)
        ]
        if not len(counted) or older_count <= 0:
            return np.zeros(0, np.int64)
        runs = [slice(starts[term], ends[term]) for term in counted]
        rows = np.concatenate([all_rows[run] for run in runs])
        values = np.concatenate(
            [all_values[run] * weights[term] for run, term in zip(runs, counted, strict=True)]
        )
        scores = np.bincount(rows, values, minlength=len(self.issues))[:older_count]
        positions = np.flatnonzero(scores if is_eligible is None else scores * is_eligible[:older_count])
        if len(positions) > count:
            limit = np.partition(scores[positions], len(positions) - count)[len(positions) - count]
            positions = positions[scores[positions] >= limit]
        order = np.argsort(-scores[positions], kind="stable")
        best: NDArray[np.int64] = positions[order[:count]]
        return best

    def _occurrences(self, is_common: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Finds the words of the queries in the terms of the issues.

        Returns two arrays with one value per occurrence: its position in `issues.terms`, and the position of
        its word in the vocabulary. `is_common` says which words are too common. Their occurrences are left
        out.

        Most terms of a repository are in no query, or too common. Nearly all of these terms are skipped in
        one pass, with a table of the last bits of the hashes. A rare word is mistaken for a common word if
        both are in the same bucket, see `term_frequencies`. This happens to about one word in 10,000.
        """
        vocabulary, rare = self._vocabulary, np.flatnonzero(~is_common)
        if not len(rare):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        bits = np.uint32((1 << 16 if len(self.issues.terms) <= _FEW_TERMS else 1 << 20) - 1)
        number_in_table = np.full(int(bits) + 1, -1, np.int32)
        number_in_table[vocabulary[rare] & bits] = rare
        numbers = number_in_table[self.issues.terms & bits]
        places = np.flatnonzero(numbers >= 0)
        terms, words = self.issues.terms[places], numbers[places].astype(np.int64)
        collisions = np.flatnonzero(vocabulary[words] != terms)
        words[collisions] = np.minimum(np.searchsorted(vocabulary, terms[collisions]), len(vocabulary) - 1)
        is_occurrence = (vocabulary[words] == terms) & ~is_common[words]
        return places[is_occurrence], words[is_occurrence]

    @cached_property
    def _postings(self) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
        """The occurrences, sorted by word, as three arrays.

        The first two have the issue and the BM25 factor of each occurrence. The third says where the
        occurrences of each word begin, and ends with the number of all occurrences.
        """
        issues, places, words, vocabulary_size = self.issues, self._places, self._words, len(self._vocabulary)
        lengths = np.diff(issues.offsets)
        rows = np.repeat(np.arange(len(issues), dtype=np.int32), lengths)[places]
        if self.has_template_body.any():
            counted = ~self.has_template_body[rows] | (issues.kinds[places] & IN_TITLE > 0)
            places, words, rows = places[counted], words[counted], rows[counted]
        # NumPy sorts numbers of 16 bits by radix, which is many times faster.
        order = np.argsort(
            words.astype(np.uint16 if vocabulary_size <= 1 << 16 else np.uint32), kind="stable"
        )
        places, rows = places[order], rows[order]
        values = saturation(issues.counts[places], issues.kinds[places], lengths[rows] / self.mean_length)
        starts = np.concatenate([[0], np.cumsum(np.bincount(words, minlength=vocabulary_size))])
        return rows, values, starts


def saturation(
    counts: NDArray[np.uint8], kinds: NDArray[np.uint8], lengths: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Returns the factors by which BM25 multiplies the weights of terms, from 0 to K1 + 1.

    Each factor is for one term in one issue. It rises with the number of occurrences of the term in the
    issue, but less and less. For each factor, `lengths` has the length of the issue: the number of its
    distinct terms, divided by the mean over all issues.
    """
    occurrences = counts + np.float32(OCCURRENCES_OF_TITLE) * (kinds & IN_TITLE)
    return (occurrences * (K1 + 1) / (occurrences + K1 * (1 - B + B * lengths))).astype(np.float32)


def _template_bodies(body_hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns the hashes of bodies that MIN_SAME_BODY issues or more have in common."""
    hashes = np.sort(body_hashes)
    last = hashes[MIN_SAME_BODY - 1 :]
    repeated = last[last == hashes[: len(last)]]
    return np.unique(repeated[repeated != 0])
