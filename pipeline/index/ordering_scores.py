"""Scores an ordering on pairs of issues that somebody called duplicates, and compares two orderings.

An ordering gives a pair of issues its probability of being duplicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.duplicate_calibration import brier_score, calibration_error, reliability
from pipeline.evaluation.retrieval import score_ranks
from pipeline.index.ordering import Ordering
from pipeline.index.ordering_examples import Bools, Examples, Floats
from pipeline.index.segment import Numbers

LISTED = 10
"""Number of issues in a list."""
NOT_LISTED = 1_000_000
"""The rank of an older issue that is not among the candidates."""
RESAMPLES = 2000


@dataclass(frozen=True)
class OrderingScores:
    """Scores of an ordering, which gives a pair of issues its probability of being duplicates.

    A pair is marked if somebody called its issues duplicates. `recall_at_1`, `recall_at_5`, `recall_at_10`
    and `mrr` (mean reciprocal rank) say how high the marked pairs rank. The rank of a pair is the rank of its
    older issue among the candidates of its newer issue. The other scores also use pairs that are not marked.
    For these scores, only marked pairs count as duplicates.
    """

    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    mrr: float
    precision: float | None
    """share of the suggested pairs that are marked; None without a suggestion"""
    coverage: float
    """share of the issues that have a suggestion"""
    brier: float
    """Brier score over all candidates. These are the same pairs for every ordering, so two orderings can be
    compared"""
    expected_calibration_error: float
    """over the best candidate of each issue"""
    reliability: list[dict[str, Any]]
    """the reliability curve over the best candidate of each issue: see `duplicate_calibration.reliability`"""

    @property
    def figures(self) -> Mapping[str, Any]:
        """The scores as a JSON object."""
        return asdict(self)


def score_ordering(ordering: Ordering, examples: Examples, min_probability: float) -> OrderingScores:
    """Returns the scores of an ordering on `examples`. At least one pair of the examples must be marked.

    A pair counts as suggested if its probability is at least `min_probability`, and if it is among the LISTED
    most probable pairs of its newer issue.
    """
    probabilities = ordering.probabilities(examples.features)
    weights = examples.weights[examples.issues]
    places = _places(probabilities, examples.issues)
    best, suggested = places == 0, (probabilities >= min_probability) & (places < LISTED)
    with_suggestion = np.isin(np.arange(len(examples.repos)), examples.issues[suggested])
    curve = reliability(probabilities[best], examples.marked[best], weights[best])
    return OrderingScores(
        **asdict(score_ranks(_ranks(probabilities, examples))),
        precision=_mean(examples.marked[suggested], weights[suggested]),
        coverage=_mean(with_suggestion, examples.weights) or 0.0,
        brier=brier_score(probabilities, examples.marked, weights),
        expected_calibration_error=calibration_error(curve),
        reliability=curve,
    )


def best_candidates(ordering: Ordering, examples: Examples) -> Bools:
    """Returns, for each of n pairs, whether it is the most probable pair of its newer issue. Shape (n,)."""
    result: Bools = _places(ordering.log_odds(examples.features), examples.issues) == 0
    return result


def gain_interval(ordering: Ordering, baseline: Ordering, examples: Examples) -> tuple[float, float, float]:
    """Compares the mean reciprocal ranks of two orderings: subtracts that of `baseline` from that of
    `ordering`.

    Returns the difference, and the lower and the upper end of its 95% confidence interval. The interval comes
    from a bootstrap over repositories (Efron 1979, percentiles). The pairs of one repository resemble each
    other, so they are drawn together.
    """
    pairs_of = np.repeat(np.arange(len(examples.repos)), examples.duplicates)
    gains = 1 / _ranks(ordering.probabilities(examples.features), examples) - 1 / _ranks(
        baseline.probabilities(examples.features), examples
    )
    _, repository = np.unique(examples.repos[pairs_of].astype(str), return_inverse=True)
    sums, sizes = (np.bincount(repository, weights=each) for each in (gains, np.ones(len(gains))))
    drawn = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [2.5, 97.5])
    return float(gains.mean()), float(low), float(high)


def _ranks(probabilities: Floats, examples: Examples) -> Numbers:
    """Returns, for each marked pair, the rank of the older issue among the candidates of the newer issue.

    Ranks start at 1. Issues with equal probabilities all get the worst of their ranks. An older issue that is
    not among the candidates has the rank NOT_LISTED. The newer issues have the same order as in `examples`.
    """
    bounds = np.searchsorted(examples.issues, np.arange(len(examples.repos) + 1)).tolist()
    ranks: list[int] = []
    for issue in np.flatnonzero(examples.duplicates).tolist():
        own = probabilities[bounds[issue] : bounds[issue + 1]]
        of_marked = own[examples.marked[bounds[issue] : bounds[issue + 1]]]
        ranks += [int(np.count_nonzero(own >= each)) for each in of_marked]
        ranks += [NOT_LISTED] * (int(examples.duplicates[issue]) - len(of_marked))
    return np.array(ranks, np.int64)


def _places(values: Floats, issues: Numbers) -> Numbers:
    """Returns the place of each pair among the pairs of its newer issue, from 0. The highest value comes
    first."""
    order = np.lexsort((-values, issues))
    starts = np.searchsorted(issues, issues)
    places = np.empty(len(values), np.int64)
    places[order] = np.arange(len(values)) - starts
    return places


def _mean(values: npt.NDArray[np.bool_], weights: Floats) -> float | None:
    return float(np.average(values, weights=weights)) if len(values) else None
