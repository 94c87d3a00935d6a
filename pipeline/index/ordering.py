"""Computes the features of two issues, and the probability that a maintainer would call them duplicates.

`RepositoryWords.best` finds candidates by their words, and a search by vectors finds other candidates.
`pair_features` compares an issue with its candidates. `Ordering` computes probabilities from the features.
The candidates are then ordered by their probabilities.

Every feature has a limited range, and most features are quotients. For example, a BM25 score is divided by
the BM25 score of the issue with itself. So the same weights work for different repositories, and for
different embedding networks.
docs/quality.md has measurements of the order and of the probabilities, and the command that fits the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import TitlerError
from pipeline.evaluation.duplicate_calibration import on_curve
from pipeline.index.repository_words import TITLE_WEIGHT, RepositoryWords, saturation
from pipeline.text.issue_terms import IDENTIFIER, IN_TITLE

FEATURES: Final = (
    "cosine",
    "cosine_gap",
    "bm25",
    "bm25_of_best",
    "bm25_lead",
    "crowd",
    "title_overlap",
    "title_conflict",
    "same_title",
    "identifiers",
    "missing_identifiers",
    "added_identifiers",
    "same_body",
    "age",
    "same_day",
)
"""The features of a pair, in the order of the columns of `pair_features`.

- cosine: the cosine of the two vectors; cosine_gap: the cosine minus the highest cosine of all candidates
- bm25: the candidate's BM25 score divided by the score of the issue with itself; bm25_of_best: bm25 divided
  by the highest bm25 of all candidates; bm25_lead: bm25 minus the highest bm25 of the other candidates
- crowd: mean bm25 of the five candidates after the best. It is high if the issue is one of a series of issues
  with similar wording
- title_overlap: share of the issue's title, by weight of its terms, that is also in the other title
- title_conflict: high if the titles share most terms, but each title has a rare term that the other issue
  does not contain, as in "Parser fails on start" and "Calendar fails on start". For each title, the weight of
  the heaviest such term is divided by the weight of the title's heaviest term. The feature is title_overlap
  times the lower of these two quotients
- same_title: 1 if both titles have the same terms
- identifiers: share of the issue's identifiers, by weight, that are also in the other issue
- missing_identifiers: share of the title's weight that belongs to identifiers which the other issue lacks;
  added_identifiers: share of the other title's terms that are identifiers which the issue lacks
- same_body: 1 if both bodies are the same text, apart from templates, letter case and white space
- age: logarithm of the days between the two, 0 for a day or less, 1 for ten years
- same_day: 1 if both were opened at the same time, 0.37 if a day lies between them
"""
Knots = tuple[tuple[float, float], ...]
"""The points of a curve. Straight lines join them."""
_TEN_YEARS: Final = 3653.0
_UNKNOWN_AGE: Final = 365.0
_CROWD: Final = 5
MIN_TERMS: Final = 3
"""The words of an older issue with fewer distinct terms, such as "dead issue" or "test", do not count: it
does not report a problem, so nothing can be its duplicate."""
_LIMIT: Final = 2.0
_NO_WEIGHT: Final = 1e-9


def pair_features(
    words: RepositoryWords,
    query: int,
    items: NDArray[np.int64],
    cosines: NDArray[np.float32],
    ages_in_days: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Returns the features (len(items), len(FEATURES)) of the pairs of an issue and each of its candidates.

    `query` is the issue's position in `words.queries`, and `items` are the candidates' positions in
    `words.issues`. `cosines` has the cosine of each pair. `ages_in_days` has the number of days between the
    two issues of each pair, or NaN if it is unknown. Some features also depend on all candidates of the
    issue: on the highest cosine, and on the six highest BM25 scores.
    """
    shared = _Shared(words, query, items)
    bm25 = shared.bm25() / shared.own_bm25()
    best = np.sort(bm25)[::-1]
    runner_up = np.where(bm25 == best[:1], best[1:2].sum(), best[:1].sum())
    columns = {
        "cosine": cosines,
        "cosine_gap": cosines - cosines.max(initial=-1.0),
        "bm25": bm25,
        "bm25_of_best": bm25 / max(bm25.max(initial=0.0), _NO_WEIGHT),
        "bm25_lead": bm25 - runner_up,
        "crowd": np.full(len(items), best[1 : 1 + _CROWD].sum() / _CROWD),
        **shared.overlaps(),
        "same_body": shared.same_body(),
        **_ages(ages_in_days),
    }
    features: NDArray[np.float32] = np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float32)
    return np.clip(features, -_LIMIT, _LIMIT)


def _row_sums(
    rows: NDArray[np.int64], values: NDArray[np.floating | np.bool_], count: int
) -> NDArray[np.float64]:
    return np.bincount(rows, values.astype(np.float64), minlength=count).astype(np.float64, copy=False)


def _ages(days: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    filled_days = np.maximum(np.nan_to_num(days.astype(np.float64), nan=_UNKNOWN_AGE), 0.0)
    age = np.log(np.clip(filled_days, 1.0, _TEN_YEARS)) / np.log(_TEN_YEARS)
    return {"age": age, "same_day": np.exp(-filled_days)}


class _Shared:
    """The terms of some items, and which of these terms a query shares."""

    def __init__(self, words: RepositoryWords, query: int, items: NDArray[np.int64]) -> None:
        self.words, self.query, self.items = words, query, items
        queries, issues = words.queries, words.issues
        first, end = queries.offsets[query : query + 2]
        self.query_kinds, self.query_counts = queries.kinds[first:end], queries.counts[first:end]
        self.weights = words.weights(query)
        self.lengths = issues.offsets[items + 1] - issues.offsets[items]
        self.rows = np.repeat(np.arange(len(items)), self.lengths)
        begins = np.cumsum(self.lengths) - self.lengths
        places = np.repeat(issues.offsets[items] - begins, self.lengths) + np.arange(len(self.rows))
        self.places, self.kinds, self.counts = places, issues.kinds[places], issues.counts[places]
        self.counted = ~words.has_template_body[items][self.rows] | (self.kinds & IN_TITLE > 0)
        terms = queries.terms[first:end]
        positions = np.searchsorted(terms, issues.terms[places])
        self.has_content = self.sums(self.counted) >= MIN_TERMS
        is_shared = (positions < len(terms)) & self.counted & self.has_content[self.rows]
        is_shared[is_shared] = terms[positions[is_shared]] == issues.terms[places][is_shared]
        self.is_shared, self.query_positions = is_shared, positions[is_shared]

    def sums(self, values: NDArray[np.floating | np.bool_]) -> NDArray[np.float64]:
        """Returns, for each item, the sum of the values of its terms. `values` has one value per term."""
        return _row_sums(self.rows, values, len(self.items))

    def shared_sums(self, values: NDArray[np.floating | np.bool_]) -> NDArray[np.float64]:
        """Returns, for each item, the sum of the values of the terms that it shares with the query. `values`
        has one value per shared term."""
        return _row_sums(self.rows[self.is_shared], values, len(self.items))

    def bm25(self) -> NDArray[np.float64]:
        """Returns the BM25 score of each item, as `RepositoryWords.best` computes it."""
        lengths = self.lengths[self.rows[self.is_shared]] / self.words.mean_length
        values = saturation(self.counts[self.is_shared], self.kinds[self.is_shared], lengths)
        return self.shared_sums(values * self._query_weights()[self.query_positions])

    def own_bm25(self) -> float:
        """Returns the BM25 score of the query with itself."""
        lengths = np.full(len(self.weights), len(self.weights) / self.words.mean_length)
        values = saturation(self.query_counts, self.query_kinds, lengths)
        return max(float(values @ self._query_weights()), _NO_WEIGHT)

    def _query_weights(self) -> NDArray[np.float64]:
        return self.weights * np.where(self.query_kinds & IN_TITLE, TITLE_WEIGHT, 1.0)

    def overlaps(self) -> dict[str, NDArray[np.float64]]:
        """Returns the features that compare the terms of each item with those of the query. The keys of the
        dict are the names of the features."""
        in_title = self.query_kinds & IN_TITLE > 0
        is_identifier = self.query_kinds & IDENTIFIER > 0
        title_weight = max(float(self.weights[in_title].sum()), _NO_WEIGHT)
        identifier_weight = max(float(self.weights[is_identifier].sum()), _NO_WEIGHT)
        shared_weights = self.weights[self.query_positions]
        item_in_title = self.kinds & IN_TITLE > 0
        in_titles = in_title[self.query_positions] & item_in_title[self.is_shared]
        title_terms = np.maximum(self.sums(item_in_title), 1)
        overlap = self.shared_sums(shared_weights * in_titles) / title_weight
        shared_titles = self.shared_sums(in_titles)
        has_same_title = (shared_titles == title_terms) & (shared_titles == in_title.sum())
        title_identifiers = in_title & is_identifier
        missing = self.weights[title_identifiers].sum() - self.shared_sums(
            shared_weights * title_identifiers[self.query_positions]
        )
        added = item_in_title & (self.kinds & IDENTIFIER > 0) & ~self.is_shared
        return {
            "title_overlap": overlap,
            "title_conflict": overlap * np.minimum(self._rarest_missing(in_title), self._rarest_added()),
            "same_title": has_same_title,
            "identifiers": self.shared_sums(shared_weights * is_identifier[self.query_positions])
            / identifier_weight,
            "missing_identifiers": missing / title_weight,
            "added_identifiers": self.sums(added) / title_terms,
        }

    def _rarest_missing(self, in_title: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Returns a quotient from 0 to 1 for each item. A term is missing if it is in the query's title, but
        not in the item. The highest weight of a missing term is divided by the highest weight of any term of
        the query's title."""
        weights = np.where(in_title, self.weights, 0.0)
        is_missing = np.ones((len(self.items), len(weights)), np.bool_)
        is_missing[self.rows[self.is_shared], self.query_positions] = False
        heaviest = max(float(weights.max(initial=0.0)), _NO_WEIGHT)
        missing: NDArray[np.float64] = (is_missing[:, in_title] * weights[in_title]).max(axis=1, initial=0.0)
        return missing / heaviest

    def _rarest_added(self) -> NDArray[np.float64]:
        """Returns a quotient from 0 to 1 for each item. A term is added if it is in the item's title, but not
        in the query. The highest weight of an added term is divided by the highest weight of any term of the
        item's title."""
        of_titles = np.flatnonzero(self.kinds & IN_TITLE)
        weights = self.words.weights_of_issues(self.places[of_titles])
        rows, is_added = self.rows[of_titles], ~self.is_shared[of_titles]
        added, heaviest = np.zeros(len(self.items)), np.full(len(self.items), _NO_WEIGHT)
        np.maximum.at(added, rows[is_added], weights[is_added])
        np.maximum.at(heaviest, rows, weights)
        return added / heaviest

    def same_body(self) -> NDArray[np.bool_]:
        """Returns, for each item, whether its body is the same as the query's. The value is False for items
        whose body is an unfilled template, and for items with hardly any text."""
        body = self.words.queries.body_hashes[self.query]
        is_same_body = (self.words.issues.body_hashes[self.items] == body) & (body != 0)
        is_template = self.words.has_template_body[self.items]
        result: NDArray[np.bool_] = is_same_body & ~is_template & self.has_content
        return result


@dataclass(frozen=True)
class Ordering:
    """Weights and a calibration that give a pair of issues its probability of being duplicates. A list of
    similar issues is ordered by this probability.

    The weights are those of a logistic regression over the features of the pair. The calibration corrects the
    log odds of the regression.
    """

    version: str
    """changes whenever the features or the weights change, so that stored probabilities are computed again"""
    weights: tuple[float, ...]
    """one per feature, in the order of FEATURES"""
    bias: float
    calibration: Knots = ()
    """points of the curve from the regression's log odds to the corrected log odds. Straight lines join them.
    Both coordinates are ascending, so the calibration does not change the order. Outside the points, the line
    continues with slope 1. If there are no points, nothing is corrected"""

    def __post_init__(self) -> None:
        if len(self.weights) != len(FEATURES):
            raise TitlerError(
                f"An ordering has {len(self.weights)} weights, but a pair of issues has {len(FEATURES)} "
                "features.",
                "Learn the ordering again with this version of Titler: titler learn-ordering",
            )

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns, for each of n pairs, the probability (n,) that a maintainer would call them duplicates.

        `features` (n, len(FEATURES)) come from `pair_features`. Lists are ordered by this probability.
        """
        log_odds = self.log_odds(features)
        if self.calibration:
            log_odds = on_curve(log_odds, self.calibration)
        probabilities: NDArray[np.float64] = 1 / (1 + np.exp(-log_odds))
        return probabilities

    def log_odds(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the log odds (n,) of the regression, without the calibration."""
        log_odds: NDArray[np.float64] = features.astype(np.float64) @ np.array(self.weights) + self.bias
        return log_odds

    def to_json(self) -> dict[str, Any]:
        """Returns the ordering as a JSON object. Its weights have the names of the features as keys."""
        return {
            "version": self.version,
            "weights": dict(zip(FEATURES, self.weights, strict=True)),
            "bias": self.bias,
            "calibration": [list(knot) for knot in self.calibration],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Ordering:
        """Reads an ordering from a JSON object that `to_json` returned. Raises TitlerError if its weights are
        for other features."""
        weights = values["weights"]
        if set(weights) != set(FEATURES):
            raise TitlerError(
                f"An ordering has weights for the features {', '.join(sorted(weights))}, but this version of "
                f"Titler uses the features {', '.join(FEATURES)}.",
                "Learn the ordering again with this version of Titler: titler learn-ordering",
            )
        return cls(
            str(values["version"]),
            tuple(float(weights[name]) for name in FEATURES),
            float(values["bias"]),
            tuple((float(raw), float(calibrated)) for raw, calibrated in values.get("calibration", ())),
        )


DEFAULT_ORDERING: Final = Ordering.from_json(
    {
        "version": "3",
        "weights": {
            "cosine": 4.664,
            "cosine_gap": 2.435,
            "bm25": 1.571,
            "bm25_of_best": 2.116,
            "bm25_lead": 0.0,
            "crowd": -2.922,
            "title_overlap": 0.068,
            "title_conflict": -2.0,
            "same_title": 0.0,
            "identifiers": 0.0,
            "missing_identifiers": -1.5,
            "added_identifiers": -1.5,
            "same_body": 0.0,
            "age": -3.971,
            "same_day": -1.724,
        },
        "bias": -5.82,
    }
)
"""The weights for repositories without enough marks. docs/quality.md says how they were fitted."""
DEFAULT_MIN_PROBABILITY: Final = 0.35
"""A pair with at least this probability is suggested. docs/quality.md shows the effect of other values."""
