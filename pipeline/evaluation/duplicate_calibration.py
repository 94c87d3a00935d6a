"""Fits a curve that corrects a regression's log odds, so that they also hold for other repositories.

Two curves are fitted. Platt's method (1999) gives a straight line. Isotonic regression (Zadrozny and Elkan
2002) gives a staircase, whose steps are joined by straight lines, so that different log odds stay different.
The curve with the lower Brier score is chosen. It is measured on repositories that the curve was not fitted
to.
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
    """A curve from the regression's log odds to the corrected log odds: points that are joined by straight
    lines. Both coordinates are ascending. There are at least two points. Outside the points, the line
    continues with slope 1."""

    method: Method
    points: tuple[tuple[float, float], ...]

    def __call__(self, log_odds: Floats) -> Floats:
        """Returns the corrected values of n log odds, (n,)."""
        return on_curve(log_odds, self.points)


def on_curve(log_odds: Floats, points: Sequence[tuple[float, float]]) -> Floats:
    """Returns the corrected values of n log odds, (n,). `points` are the points of a LogOddsCurve."""
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
    """Returns the better curve, fitted to all pairs, and the Brier score of each method.

    The arguments have one value per pair: its log odds, whether it is `marked`, how many pairs it stands for
    (`weights`), the number of its fold, and whether it counts for the Brier scores (`judged`). Pairs of one
    repository must be in one fold. The Brier score of a pair is computed with a curve that was fitted to the
    other folds.
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
    """Returns the weighted mean of the squared difference of probability and outcome (Brier 1950)."""
    return float(np.average((probabilities - marked) ** 2, weights=weights)) if len(marked) else 0.0


def reliability(probabilities: Floats, marked: Bools, weights: Floats) -> list[dict[str, Any]]:
    """Returns the reliability curve: one row per bin of the probability that has pairs.

    A row has the ends of the bin (`low`, `high`), how many pairs it has (`pairs`, a sum of weights, rounded),
    their mean `probability`, and the share of them that are `marked`.
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
    """Returns the expected calibration error (Naeini 2015): the mean over the bins of a reliability curve,
    weighted by their pairs, of the absolute difference between the probability and the share of marked
    pairs."""
    pairs = sum(row["pairs"] for row in curve)
    errors = (row["pairs"] * abs(row["probability"] - row["marked"]) for row in curve)
    return float(sum(errors) / pairs) if pairs else 0.0


def _fit_platt(log_odds: Floats, marked: Bools, weights: Floats) -> LogOddsCurve:
    """Returns Platt's curve. If a class is missing or the slope is not positive, the log odds stay as they
    are."""
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
    """Returns the curve of isotonic regression. Each step becomes a point at its mean log odds. Its share of
    marks is estimated after adding half a marked and half an unmarked pair (Krichevsky and Trofimov 1981), so
    that no probability is 0 or 1. If there are fewer than two steps, returns Platt's curve."""
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
