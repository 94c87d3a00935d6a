"""What a confidence is worth: how the share of good titles grows with it, and the threshold below which to
abstain.

A title counts as good, `alike`, if its ROUGE-L against the author's title is over ROUGE_THRESHOLD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
ROUGE_THRESHOLD = 30
"""ROUGE-L, 0 to 100, over which a title counts as close to its author's: about one word in three is the same,
in the same order."""
BINS = 10
FIFTHS = 5
ALWAYS_ABSTAIN = 2.0
"""A threshold above any confidence."""


@dataclass(frozen=True)
class ConfidenceBin:
    """The titles whose confidence is at least `low` and below `high`; the last bin includes 1."""

    low: float
    high: float
    titles: int
    confidence: float
    """mean"""
    alike: float
    """share with ROUGE-L over ROUGE_THRESHOLD, 0 to 1"""


@dataclass(frozen=True)
class ConfidenceScores:
    """Scores over all titles that a model decoded, withheld or not. Shares are 0 to 1."""

    alike: float
    """share with ROUGE-L over ROUGE_THRESHOLD"""
    alike_least_sure: float
    """that share in the fifth with the lowest confidence"""
    alike_most_sure: float
    """that share in the fifth with the highest confidence"""
    auc: float
    """probability that a title over ROUGE_THRESHOLD has a higher confidence than one that is not, ties count
    half (Hanley and McNeil 1982): 0.5 is chance; also 0.5 if all titles are over it or none is"""
    calibration_error: float
    """mean distance between a bin's mean confidence and its share, weighted by titles (Naeini 2015): 0 if the
    confidence equals the probability"""
    titles: int


def confidence_bins(confidences: Numbers, rouge: Numbers) -> list[ConfidenceBin]:
    """Up to ten bins of equal width, lowest first, of confidences and ROUGE-L (n,). Empty bins are left out.

    scikit-learn's `calibration_curve` does not count the titles of a bin.
    """
    alike = rouge > ROUGE_THRESHOLD
    numbers = np.minimum((confidences * BINS).astype(int), BINS - 1)
    bins = []
    for number in range(BINS):
        inside = numbers == number
        if inside.any():
            means = float(confidences[inside].mean()), float(alike[inside].mean())
            bins.append(ConfidenceBin(number / BINS, (number + 1) / BINS, int(inside.sum()), *means))
    return bins


def score_confidence(confidences: Numbers, rouge: Numbers) -> ConfidenceScores:
    """The scores of confidences and ROUGE-L (n,), n at least 1.

    Titles of equal confidence are ordered by position: the earlier one counts as the less sure.
    """
    from sklearn.metrics import roc_auc_score

    alike = rouge > ROUGE_THRESHOLD
    order = np.argsort(confidences, kind="stable")
    fifth = max(1, len(order) // FIFTHS)
    errors = (row.titles * abs(row.alike - row.confidence) for row in confidence_bins(confidences, rouge))
    both_classes = alike.any() and not alike.all()  # else the AUC is not defined
    return ConfidenceScores(
        alike=float(alike.mean()),
        alike_least_sure=float(alike[order[:fifth]].mean()),
        alike_most_sure=float(alike[order[-fifth:]].mean()),
        auc=float(roc_auc_score(alike, confidences)) if both_classes else 0.5,
        calibration_error=sum(errors) / len(order),
        titles=len(order),
    )


def abstention_threshold(
    confidences: Numbers | Sequence[Any], rouge: Numbers | Sequence[Any], precision: float
) -> float:
    """The lowest confidence such that, of the titles with at least that confidence, a share of `precision` is
    good.

    Returns 0 if that holds for all titles, ALWAYS_ABSTAIN if it holds for no confidence. Titles of equal
    confidence are shown or withheld together. `precision` is 0 to 1.
    """
    from sklearn.metrics import precision_recall_curve

    alike = np.asarray(rouge, dtype=np.float64) > ROUGE_THRESHOLD
    if not len(alike) or precision <= 0:
        return 0.0
    if not alike.any():
        return ALWAYS_ABSTAIN
    precisions, _, thresholds = precision_recall_curve(alike, np.asarray(confidences, dtype=np.float64))
    reached = np.flatnonzero(precisions[:-1] >= precision)  # the last precision, 1, belongs to no threshold
    if not len(reached):
        return ALWAYS_ABSTAIN
    return 0.0 if reached[0] == 0 else float(thresholds[reached[0]])
