"""Compares an issue or text (the query) with candidates, and chooses the list of similar issues from them.

Issues with the same or nearly the same text form a group. A list has only one issue of each group: the one
that is most probably a duplicate of the query. So the reports that a robot opens every night do not take the
places of other issues.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from pipeline.index.ordering import FEATURES, Ordering, pair_features
from pipeline.index.repository_words import TITLE_WEIGHT, RepositoryWords
from pipeline.index.segment import Numbers
from pipeline.index.segment_search import distances_of
from pipeline.index.segment_terms import take_terms
from pipeline.text.issue_terms import IDENTIFIER, IN_TITLE, IssueTerms

MIN_BODY_TERMS = 3
"""If a body has fewer terms that are not in the title, such as "See title", it does not show whether two
issues have the same text."""
NEAR_COPY = 0.9
"""Two issues are near copies if this share of their distinct terms is in both (Jaccard similarity)."""
MIN_COPIED_TERMS = 20
"""Issues with fewer distinct terms are never near copies: in a short text, one different word can make it
another problem."""
COMPARED_CANDIDATES = 20
"""Near copies are looked for among this many of the most probable candidates."""
WORDS_SHOWN = 5
"""Largest number of words in common that are listed."""
DECIMALS = 6
"""Probabilities are rounded, so that pairs with equal texts are equally probable."""
MICROSECONDS_PER_DAY = 86_400_000_000
OWN_TEXT, SAME_TEXT, NO_TEXT, AUTOMATED = range(4)
"""What the body of a listed issue contains: a text of its own, the same text as the query's body, no text (or
only a template's), or a program's report."""
TEXTS = ("own", "same", "none", "automated")
"""The values of the column `similar_text`, by these numbers."""
_TITLE_OVERLAP = FEATURES.index("title_overlap")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Listed:
    """The lists of similar issues of one or several queries, one after another.

    Within a list, the most probable duplicate comes first. Each array has one value per listed issue:

    - `segments` and `items`: where the issue is stored.
    - `ages_in_days`: how many days the issue was opened before its query.
    - `texts`: what the issue's body contains: OWN_TEXT, SAME_TEXT (the text of the query's body), NO_TEXT or
      AUTOMATED (a program's report).
    - `group_sizes`: how many candidates have the same or nearly the same text as the issue, including itself.
    - `terms` (n, WORDS_SHOWN): terms that the issue and its query have in common, the rarest first. Unused
      places are 0.
    """

    segments: Numbers
    items: Numbers
    distances: Floats
    probabilities: Floats
    title_overlaps: Floats
    ages_in_days: Floats
    texts: Numbers
    group_sizes: Numbers
    terms: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.segments)

    @classmethod
    def joined(cls, lists: Sequence[Listed]) -> Listed:
        """Concatenates several objects of this class, in order."""
        numbers, values = np.empty(0, np.int64), np.empty(0)
        terms = np.empty((0, WORDS_SHOWN), np.uint32)
        none = cls(numbers, numbers, values, values, values, values, numbers, numbers, terms)
        parts = [none, *lists]
        return cls(*(np.concatenate([getattr(each, field.name) for each in parts]) for field in fields(cls)))


@dataclass(frozen=True)
class Comparison:
    """An issue or text (the query), and n candidates for its list of similar issues.

    `words` has the terms (words) of many queries and issues. `query` is the query's position in
    `words.queries`, and `positions` are the candidates' positions in `words.issues`. `candidates` has the
    terms of the candidates alone, in the order of `positions`. `body_hash` is the hash of the query's body.
    `opened_at` is when the query was opened, and `created_at` is when each candidate was opened, both in
    microseconds since 1970.
    """

    words: RepositoryWords
    query: int
    body_hash: int
    opened_at: int
    positions: Numbers
    candidates: IssueTerms
    segments: Numbers
    items: Numbers
    cosines: Floats
    created_at: Numbers
    issue_ids: Numbers

    @property
    def ages_in_days(self) -> Floats:
        """How many days each candidate was opened before the query. Negative if it was opened later."""
        return (self.opened_at - self.created_at) / MICROSECONDS_PER_DAY

    def features(self) -> npt.NDArray[np.float32]:
        """Returns the features by which the candidates are ordered, (n, features)."""
        return pair_features(
            self.words,
            self.query,
            self.positions,
            self.cosines.astype(np.float32),
            np.abs(self.ages_in_days).astype(np.float32),
        )

    def chosen(self, features: npt.NDArray[np.float32], probabilities: Floats, count: int) -> Listed:
        """Returns the query's list: up to `count` candidates, the most probable duplicate first.

        Of several candidates with equal or nearly equal texts, only the first is listed. Of equally probable
        candidates, the nearest comes first, and of equally near candidates, the oldest.
        """
        order = np.lexsort((self.issue_ids, self.created_at, -self.cosines, -probabilities))
        _, first, group_sizes = np.unique(
            text_groups(self.candidates, self._has_template_body)[order],
            return_index=True,
            return_counts=True,
        )
        by_group = np.argsort(first)
        originals = np.arange(len(by_group))
        compared = by_group[:COMPARED_CANDIDATES]
        originals[: len(compared)] = self._originals(order[first[compared]])
        places = np.unique(originals)[:count]
        listed = order[first[by_group[places]]]
        return Listed(
            self.segments[listed],
            self.items[listed],
            distances_of(self.cosines[listed]),
            probabilities[listed],
            features[listed, _TITLE_OVERLAP].astype(np.float64),
            self.ages_in_days[listed],
            self._texts()[listed],
            np.bincount(originals, group_sizes[by_group]).astype(np.int64)[places],
            self._common_terms(listed),
        )

    def _originals(self, candidates: Numbers) -> Numbers:
        """Finds near copies. Returns a place (position in `candidates`) for each candidate.

        A candidate gets the place of the first candidate before it that has nearly the same text and is not
        itself a copy. If there is no such candidate, it gets its own place. If a candidate's body is only a
        template, just the terms of the candidate's title are compared.
        """
        terms = take_terms(self.candidates, candidates)
        rows = np.repeat(np.arange(len(candidates)), np.diff(terms.offsets))
        counted = ~self._has_template_body[candidates][rows] | (terms.kinds & IN_TITLE > 0)
        rows, (distinct, columns) = rows[counted], np.unique(terms.terms[counted], return_inverse=True)
        has_term = np.zeros((len(candidates), len(distinct)), np.bool_)
        has_term[rows, columns] = True
        bits = np.packbits(has_term, axis=1)  # a product of floats would start threads, which cost more
        shared = np.bitwise_count(bits[:, None] & bits).sum(axis=2, dtype=np.int64)
        counts = shared.diagonal()
        is_copy = shared >= NEAR_COPY * (counts[:, None] + counts - shared)
        is_copy &= np.minimum(counts[:, None], counts) >= MIN_COPIED_TERMS
        originals = np.arange(len(candidates))
        for place in np.flatnonzero(np.tril(is_copy, -1).any(axis=1)).tolist():
            earlier = np.flatnonzero(is_copy[place, :place] & (originals[:place] == np.arange(place)))
            if len(earlier):
                originals[place] = earlier[0]
        return originals

    def _common_terms(self, candidates: Numbers) -> npt.NDArray[np.uint32]:
        """Returns the terms that the query has in common with each of some candidates, (candidates,
        WORDS_SHOWN). The terms with the largest weights come first. Terms that occur in too many issues have
        no weight and are left out. Unused places are 0."""
        first, end = self.words.queries.offsets[self.query : self.query + 2]
        own = self.words.queries.terms[first:end]
        if not len(own):
            return np.zeros((len(candidates), WORDS_SHOWN), np.uint32)
        candidate_terms = take_terms(self.candidates, candidates)
        places = np.minimum(np.searchsorted(own, candidate_terms.terms), len(own) - 1)
        is_common = own[places] == candidate_terms.terms
        rows = np.repeat(np.arange(len(candidates)), np.diff(candidate_terms.offsets))[is_common]
        weights = np.zeros((len(candidates), max(len(own), WORDS_SHOWN)))
        in_title = self.words.queries.kinds[first:end] & IN_TITLE > 0
        of_terms = self.words.weights(self.query) * np.where(in_title, TITLE_WEIGHT, 1.0)
        weights[rows, places[is_common]] = of_terms[places[is_common]]
        heaviest = np.argsort(-weights, axis=1, kind="stable")[:, :WORDS_SHOWN]
        counts = np.take_along_axis(weights, heaviest, axis=1) > 0
        return np.where(counts, own[np.minimum(heaviest, len(own) - 1)], np.uint32(0))

    @property
    def _has_template_body(self) -> npt.NDArray[np.bool_]:
        return self.words.has_template_body[self.positions]

    def _texts(self) -> Numbers:
        bodies = self.candidates.body_hashes
        has_none = (bodies == 0) | self._has_template_body | _has_short_body(self.candidates)
        texts = np.where(has_none, NO_TEXT, np.where(bodies == self.body_hash, SAME_TEXT, OWN_TEXT))
        return np.where(self.candidates.automated, AUTOMATED, texts)


def probabilities_of(ordering: Ordering, features: npt.NDArray[np.float32]) -> Floats:
    """Returns, for each candidate, the probability that a maintainer would call it a duplicate of the query.

    `features` are those of the candidates.
    """
    return ordering.probabilities(features).round(DECIMALS)


def text_groups(issues: IssueTerms, has_template_body: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Returns a number for each issue. Issues with the same text have the same number.

    Two issues have the same text if they have the same body. There are three exceptions:

    - Issues with a short body have the same text if their titles and bodies have the same terms (words).
    - Issues whose body is empty or only a template have the same text if their titles have the same terms.
    - Issues that programs opened have the same text if their titles differ only in identifiers, such as
      versions and dates.

    `has_template_body` says which issues have only a template as their body.
    """
    groups = issues.body_hashes.copy()
    by_terms = (groups == 0) | has_template_body | issues.automated | _has_short_body(issues)
    for issue in np.flatnonzero(by_terms).tolist():
        own = slice(issues.offsets[issue], issues.offsets[issue + 1])
        terms, kinds = issues.terms[own], issues.kinds[own]
        if issues.automated[issue]:
            terms = terms[(kinds & IN_TITLE > 0) & (kinds & IDENTIFIER == 0)]
        elif has_template_body[issue]:
            terms = terms[kinds & IN_TITLE > 0]
        groups[issue] = int.from_bytes(hashlib.blake2b(terms.tobytes(), digest_size=8).digest(), "little")
    return groups


def _has_short_body(issues: IssueTerms) -> npt.NDArray[np.bool_]:
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(issues.kinds & IN_TITLE == 0)])[issues.offsets]
    result: npt.NDArray[np.bool_] = np.diff(ends) < MIN_BODY_TERMS
    return result
