"""Corrects the log odds that two issues are duplicates. The correction is chosen so that it also works for
new repositories.

A logistic regression computes the log odds. A curve then corrects them. Two curves are fitted, and the one
with the lower Brier score is chosen. Each curve's score is measured on repositories that the curve was not
fitted to.

Platt's method (1999) gives a straight line. Isotonic regression (Zadrozny and Elkan 2002) gives a step
function. Its steps are joined by straight lines, so that different log odds stay different.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Method = Literal["platt", "isotonic"]
BINS = 10
SMALLEST_RISE = 1e-4
"""Two points of a curve differ by at least this much in both directions."""


@dataclass(frozen=True)
class LogOddsCurve:
    """A curve that maps the log odds that a regression computes to corrected log odds.

    The curve has at least two points, joined by straight lines. Both coordinates are ascending. Before the
    first point and after the last point, the curve continues with slope 1.
    """

    method: Method
    points: tuple[tuple[float, float], ...]

    def __call__(self, log_odds: Floats) -> Floats:
        """Returns the corrected values of n log odds, shape (n,)."""
        return on_curve(log_odds, self.points)


def on_curve(log_odds: Floats, points: Sequence[tuple[float, float]]) -> Floats:
    """Returns the corrected values of n log odds, shape (n,). `points` are the points of a LogOddsCurve."""
    raw, calibrated = np.array(points).T
    inside = np.clip(log_odds, raw[0], raw[-1])
    result: Floats = np.interp(inside, raw, calibrated) + (log_odds - inside)
    return result


def choose_curve(
    log_odds: Floats,
    marked: Bools,
    weights: Floats,
    folds: npt.NDArray[np.int64],
    judged: Bools,
) -> tuple[LogOddsCurve, dict[Method, float]]:
    """Fits a curve with each method. Returns the better curve, and the Brier scores of both methods.

    Each argument has one value per pair of issues:

    - `log_odds`: the log odds that the pair is a pair of duplicates.
    - `marked`: whether somebody marked the pair as duplicates.
    - `weights`: how many pairs the pair represents. This is 1 if somebody marked the newer issue as a
      duplicate. Of the other newer issues, only a sample is used, so their pairs can represent more.
    - `folds`: the number of the pair's fold. Pairs of one repository must be in one fold.
    - `judged`: whether the pair counts for the Brier scores.

    The curve with the lower Brier score is better. For the Brier scores, the pairs of a fold get their
    probabilities from a curve that was fitted to the other folds. The returned curve is fitted to all pairs.
    """
    brier_scores: dict[Method, float] = {}
    for method, fit in FITS.items():
        probabilities = np.zeros(len(log_odds))
        for fold in np.unique(folds):
            inside = folds == fold
            curve = fit(log_odds[~inside], marked[~inside], weights[~inside])
            probabilities[inside] = _probability(curve(log_odds[inside]))
        brier_scores[method] = brier_score(probabilities[judged], marked[judged], weights[judged])
    chosen = min(FITS, key=lambda method: brier_scores[method])
    return FITS[chosen](log_odds, marked, weights), brier_scores


def brier_score(probabilities: Floats, marked: Bools, weights: Floats) -> float:
    """Returns the Brier score: the weighted mean squared error of the probabilities (Brier 1950).

    The true value of a pair is 1 if it is `marked`, and 0 otherwise. Without pairs, the score is 0.
    """
    return float(np.average((probabilities - marked) ** 2, weights=weights)) if len(marked) else 0.0


def reliability(probabilities: Floats, marked: Bools, weights: Floats) -> list[dict[str, Any]]:
    """Sorts pairs of issues into bins by their probability. Returns one row per bin that is not empty.

    A row has the limits of the bin (`low` and `high`), the number of `pairs` that the bin represents (the
    rounded sum of the weights), and two weighted means: the mean `probability` of the pairs, and the share of
    them that are `marked` as duplicates.
    """
    rows = []
    bins = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    for number in np.unique(bins).tolist():
        own = bins == number
        rows.append(
            {
                "low": number / BINS,
                "high": (number + 1) / BINS,
                "pairs": round(float(weights[own].sum())),
                "probability": float(np.average(probabilities[own], weights=weights[own])),
                "marked": float(np.average(marked[own], weights=weights[own])),
            }
        )
    return rows


def calibration_error(curve: Sequence[Mapping[str, Any]]) -> float:
    """Returns the expected calibration error (Naeini 2015). `curve` has the bins that `reliability` returned.

    The error of a bin is the absolute difference between its mean probability and its share of marked pairs.
    The result is the mean error of the bins, weighted by their numbers of pairs.
    """
    pairs = sum(row["pairs"] for row in curve)
    errors = (row["pairs"] * abs(row["probability"] - row["marked"]) for row in curve)
    return float(sum(errors) / pairs) if pairs else 0.0


def _fit_platt(log_odds: Floats, marked: Bools, weights: Floats) -> LogOddsCurve:
    """Returns Platt's curve. If all pairs are of one class, or if the slope is not positive, returns a curve
    that does not change the log odds."""
    slope, intercept = 1.0, 0.0
    if marked.any() and not marked.all():
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=1e6).fit(log_odds[:, None], marked, sample_weight=weights)
        if model.coef_[0, 0] > 0:
            slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    low, high = (float(log_odds.min()), float(log_odds.max())) if len(log_odds) else (0.0, 0.0)
    high = max(high, low + 1)
    return LogOddsCurve("platt", tuple((x, slope * x + intercept) for x in (low, high)))


def _fit_isotonic(log_odds: Floats, marked: Bools, weights: Floats) -> LogOddsCurve:
    """Returns the curve of isotonic regression. If it has fewer than two steps, returns Platt's curve.

    Each step becomes a point at the mean log odds of its pairs. The step's share of marked pairs is estimated
    as (marked pairs + 0.5) / (pairs + 1), so that no probability is 0 or 1 (Krichevsky and Trofimov 1981).
    """
    from sklearn.isotonic import IsotonicRegression

    steps = IsotonicRegression(out_of_bounds="clip").fit_transform(log_odds, marked, sample_weight=weights)
    _, numbers = np.unique(steps, return_inverse=True)
    sizes, marks, log_odds_sums = (
        np.bincount(numbers, weights=weights * each) for each in (np.ones(len(steps)), marked, log_odds)
    )
    if len(sizes) < 2:
        return LogOddsCurve("isotonic", _fit_platt(log_odds, marked, weights).points)
    raw, share = log_odds_sums / sizes, (marks + 0.5) / (sizes + 1)
    rises = SMALLEST_RISE * np.arange(len(raw))
    calibrated = np.log(share / (1 - share))
    raw, calibrated = (np.maximum.accumulate(values - rises) + rises for values in (raw, calibrated))
    points = zip(raw.round(4).tolist(), calibrated.round(4).tolist(), strict=True)
    return LogOddsCurve("isotonic", tuple(points))


def _probability(log_odds: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-log_odds))
    return result


FITS: dict[Method, Callable[[Floats, Bools, Floats], LogOddsCurve]] = {
    "platt": _fit_platt,
    "isotonic": _fit_isotonic,
}
