"""Calibrates the confidence: converts it to the probability that a title is good.

A title is good if its ROUGE-L against the author's title is over `title_confidence.ROUGE_THRESHOLD`. The
fields named `alike` have the share of good titles.

Two methods fit a curve to held-out titles. Platt's method (Platt 1999) gives a logistic curve with two
parameters. Isotonic regression (Zadrozny and Elkan 2002) gives a piecewise linear curve. With both, a higher
confidence never gets a lower probability. Each method is tested on titles that its curve was not fitted to,
and the one with the lower Brier score is chosen. A curve is stored as numbers in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import TitlerError
from pipeline.evaluation.title_confidence import ROUGE_THRESHOLD, ConfidenceBin, confidence_bins

Numbers = npt.NDArray[np.float64]
Method = Literal["platt", "isotonic"]
FOLDS = 5
SMALLEST_CONFIDENCE = 1e-6
"""Confidences are kept this far from 0 and 1, where the log odds are infinite."""


@dataclass(frozen=True)
class Curve:
    """A function from the confidence in a title to the probability that the title is good.

    There are two methods:

    - `platt`: the probability is the logistic function of `slope` * log odds of the confidence + `intercept`.
    - `isotonic`: at the confidence `confidences[i]`, the probability is `probabilities[i]`. The values
      between these points are interpolated linearly. `confidences` are ascending. Before the first point and
      after the last point, the probability is constant.
    """

    method: Method
    slope: float = 0.0
    intercept: float = 0.0
    confidences: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def __call__(self, confidences: Numbers) -> Numbers:
        """Returns the probability (0 to 1) that each of n titles is good, shape (n,).

        `confidences` (n,) are the model's confidences in the titles. A title is good if its ROUGE-L against
        the author's title is over ROUGE_THRESHOLD.
        """
        if self.method == "isotonic":
            return np.interp(confidences, self.confidences, self.probabilities)
        return 1 / (1 + np.exp(-(self.slope * _log_odds(confidences) + self.intercept)))

    def to_json(self) -> dict[str, Any]:
        """Returns the curve as a dict that can be stored as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Curve:
        """Returns the curve from the dict that `to_json` returned.

        Raises TitlerError if the dict does not describe a curve.
        """
        curve = cls(
            values["method"],
            float(values["slope"]),
            float(values["intercept"]),
            tuple(map(float, values["confidences"])),
            tuple(map(float, values["probabilities"])),
        )
        knots = len(curve.confidences)
        if curve.method not in FITS or knots != len(curve.probabilities):
            raise TitlerError(
                f"A calibration curve must have the method {' or '.join(FITS)}, and as many confidences as "
                f"probabilities. Found {dict(values)}."
            )
        return curve


@dataclass(frozen=True)
class Calibration:
    """A curve from the confidence in a title to the probability that the title is good, with its scores.

    The curve was fitted to held-out titles. The scores come from cross-validation: the titles are divided
    into FOLDS parts by repository, and the titles of each part get their probabilities from a curve that was
    fitted to the other parts. If all titles are from one repository, these probabilities are one half.
    """

    curve: Curve
    brier: float
    """Brier score (Brier 1950): mean squared difference between the probability that a title is good and the
    outcome, which is 1 for a good title and 0 for a poor title"""
    brier_of_other: float
    """Brier score of the method that was not chosen"""
    calibration_error: float
    """expected calibration error: mean over the bins, weighted by their numbers of titles, of the absolute
    difference between the mean probability and the share of good titles (Naeini 2015)"""
    alike: float
    """share of good titles. A constant prediction of this share has the Brier score alike * (1 - alike)"""
    titles: int
    bins: tuple[ConfidenceBin, ...]
    """the reliability curve: bins of the probability. A bin's field `confidence` has its mean probability"""

    def figures(self) -> dict[str, Any]:
        """Returns a dict for manifests and releases: the method, the scores and the reliability curve."""
        values = {name: value for name, value in asdict(self).items() if name not in ("curve", "bins")}
        curve = [
            {
                "low": row.low,
                "high": row.high,
                "titles": row.titles,
                "probability": row.confidence,
                "alike": row.alike,
            }
            for row in self.bins
        ]
        return {"method": self.curve.method, **values, "curve": curve}


def has_latin_letters(title: str) -> bool:
    """Returns whether an author's title contains a letter from a to z, in upper or lower case.

    ROUGE reads only digits and these letters. So if an author's title has none of these letters, ROUGE says
    little about the predicted title.
    """
    return re.search("[a-z]", title.lower()) is not None


def calibrate(confidences: Numbers, rouge: Numbers, repositories: Sequence[str]) -> Calibration | None:
    """Fits a curve from the confidence in a title to the probability that the title is good.

    Both methods (Platt and isotonic) are tried. Returns the curve of the method with the lower Brier score,
    and the scores of that method. Returns None if there are no titles. `confidences` (0 to 1), `rouge`
    (ROUGE-L, 0 to 100) and `repositories` have one element per title.
    """
    is_good = rouge > ROUGE_THRESHOLD
    if not len(is_good):
        return None
    folds = _folds(repositories)
    held_out = {method: _held_out(fit, confidences, is_good, folds) for method, fit in FITS.items()}
    briers = {method: float(np.mean((held_out[method] - is_good) ** 2)) for method in FITS}
    chosen = min(FITS, key=lambda method: briers[method])  # Platt's method if both have the same score
    bins = confidence_bins(held_out[chosen], rouge)
    errors = (row.titles * abs(row.alike - row.confidence) for row in bins)
    return Calibration(
        curve=FITS[chosen](confidences, is_good),
        brier=briers[chosen],
        brier_of_other=next(brier for method, brier in briers.items() if method != chosen),
        calibration_error=sum(errors) / len(is_good),
        alike=float(is_good.mean()),
        titles=len(is_good),
        bins=tuple(bins),
    )


def _folds(repositories: Sequence[str]) -> npt.NDArray[np.int64]:
    """Divides n titles into FOLDS parts (folds). Returns the number of each title's fold, shape (n,).

    All titles of a repository are in one fold. To get folds of similar size, the repository with the most
    titles is assigned first. Each repository is assigned to the fold that is smallest so far.
    """
    names, numbers, sizes = np.unique(np.asarray(repositories), return_inverse=True, return_counts=True)
    fold_of, fold_sizes = np.zeros(len(names), np.int64), np.zeros(FOLDS, np.int64)
    for number in np.argsort(-sizes, kind="stable"):
        fold_of[number] = np.argmin(fold_sizes)
        fold_sizes[fold_of[number]] += sizes[number]
    return fold_of[numbers]


def _held_out(
    fit: Callable[[Numbers, npt.NDArray[np.bool_]], Curve],
    confidences: Numbers,
    is_good: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.int64],
) -> Numbers:
    """Returns the cross-validated probability that each of n titles is good, shape (n,).

    The probabilities in one fold come from a curve that `fit` fitted to the titles of the other folds. If all
    titles are in one fold, because they are of one repository, every probability is one half.
    """
    probabilities = np.full(len(is_good), 0.5)
    for fold in np.unique(folds):
        inside = folds == fold
        if not inside.all():
            probabilities[inside] = fit(confidences[~inside], is_good[~inside])(confidences[inside])
    return probabilities


def _constant(is_good: npt.NDArray[np.bool_]) -> Curve:
    """Returns a constant curve, for titles whose confidence says nothing about whether they are good.

    The constant is the probability that a title is good: near 1 if all are good, and near 0 if all are poor.
    The fewer titles there are, the nearer it is to one half, like the target probabilities of Platt 1999.
    """
    share = (is_good.sum() + 1) / (len(is_good) + 2)
    return Curve("platt", 0.0, float(np.log(share / (1 - share))))


def _fit_platt(confidences: Numbers, is_good: npt.NDArray[np.bool_]) -> Curve:
    if is_good.all() or not is_good.any():
        return _constant(is_good)
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(_log_odds(confidences)[:, None], is_good)
    slope = float(model.coef_[0, 0])
    # By chance, a few titles can have a negative slope. Then the model would abstain from its surest titles.
    return Curve("platt", slope, float(model.intercept_[0])) if slope > 0 else _constant(is_good)


def _fit_isotonic(confidences: Numbers, is_good: npt.NDArray[np.bool_]) -> Curve:
    if is_good.all() or not is_good.any():
        return _constant(is_good)
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(out_of_bounds="clip").fit(confidences, is_good.astype(np.float64))
    return Curve(
        "isotonic",
        confidences=tuple(model.X_thresholds_.tolist()),
        probabilities=tuple(model.y_thresholds_.tolist()),
    )


FITS: dict[Method, Callable[[Numbers, npt.NDArray[np.bool_]], Curve]] = {
    "platt": _fit_platt,
    "isotonic": _fit_isotonic,
}


def _log_odds(confidences: Numbers) -> Numbers:
    inner = np.clip(confidences, SMALLEST_CONFIDENCE, 1 - SMALLEST_CONFIDENCE)
    return np.log(inner / (1 - inner))
