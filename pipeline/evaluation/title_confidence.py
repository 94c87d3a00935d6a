"""Measures how well a model's confidence separates good titles from poor ones.

Also chooses the threshold for abstaining: a model abstains (gives no title) if its confidence in the title is
below the threshold. A title is good if its ROUGE-L against the author's title is over ROUGE_THRESHOLD. The
fields named `alike` have the share of good titles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
ROUGE_THRESHOLD = 30
"""A title whose ROUGE-L (0 to 100) is higher counts as good. It shares about one word in three with the
author's title, in the same order."""
BINS = 10
FIFTHS = 5
ALWAYS_ABSTAIN = 2.0
"""A threshold above any confidence, so that the model never shows a title."""


@dataclass(frozen=True)
class ConfidenceBin:
    """Figures of the titles in one bin of a histogram of confidences.

    The bin contains the titles whose confidence is at least `low` and below `high`. The last bin includes the
    confidence 1.
    """

    low: float
    high: float
    titles: int
    confidence: float
    """mean confidence of these titles"""
    alike: float
    """share of these titles that are good, 0 to 1"""


@dataclass(frozen=True)
class ConfidenceScores:
    """Scores of a model's confidence in its titles.

    They are computed over all titles that the model decoded, including those that it would not show because
    its confidence is low. Shares are 0 to 1.
    """

    alike: float
    """share of good titles"""
    alike_least_sure: float
    """share of good titles among the 20% of the titles with the lowest confidence"""
    alike_most_sure: float
    """share of good titles among the 20% of the titles with the highest confidence"""
    auc: float
    """probability that a good title has a higher confidence than a poor one; ties count half (Hanley and
    McNeil 1982). 0.5 is chance. The value is set to 0.5 if all titles are good, or if all are poor"""
    calibration_error: float
    """mean over the bins, weighted by their numbers of titles, of the absolute difference between the mean
    confidence and the share of good titles (Naeini 2015). It is 0 if the confidence is the probability of a
    good title"""
    titles: int
    """number of titles"""


def confidence_bins(confidences: Numbers, rouge: Numbers) -> list[ConfidenceBin]:
    """Sorts n titles into ten bins by confidence. Returns the bins that are not empty, lowest first.

    All bins have the same width. `confidences` (n,) are 0 to 1. `rouge` (n,) has the ROUGE-L of each title, 0
    to 100. scikit-learn's `calibration_curve` is not used, because it does not count the titles in a bin.
    """
    is_good = rouge > ROUGE_THRESHOLD
    numbers = np.minimum((confidences * BINS).astype(int), BINS - 1)
    bins = []
    for number in range(BINS):
        inside = numbers == number
        if inside.any():
            mean_confidence, share_alike = float(confidences[inside].mean()), float(is_good[inside].mean())
            bins.append(
                ConfidenceBin(
                    number / BINS, (number + 1) / BINS, int(inside.sum()), mean_confidence, share_alike
                )
            )
    return bins


def score_confidence(confidences: Numbers, rouge: Numbers) -> ConfidenceScores:
    """Scores how well a model's confidence in n titles separates good titles from poor ones.

    `confidences` (n,) are 0 to 1. `rouge` (n,) has the ROUGE-L of each title, 0 to 100. n must be at least 1.
    If two titles have the same confidence, the earlier title counts as less confident.
    """
    from sklearn.metrics import roc_auc_score

    is_good = rouge > ROUGE_THRESHOLD
    order = np.argsort(confidences, kind="stable")
    fifth = max(1, len(order) // FIFTHS)
    errors = (row.titles * abs(row.alike - row.confidence) for row in confidence_bins(confidences, rouge))
    both_classes = is_good.any() and not is_good.all()  # otherwise the AUC is not defined
    return ConfidenceScores(
        alike=float(is_good.mean()),
        alike_least_sure=float(is_good[order[:fifth]].mean()),
        alike_most_sure=float(is_good[order[-fifth:]].mean()),
        auc=float(roc_auc_score(is_good, confidences)) if both_classes else 0.5,
        calibration_error=sum(errors) / len(order),
        titles=len(order),
    )


def abstention_threshold(
    confidences: Numbers | Sequence[Any], rouge: Numbers | Sequence[Any], precision: float
) -> float:
    """Returns the lowest threshold of confidence at which enough of the shown titles are good.

    The titles whose confidence is at least the threshold are shown. At least the share `precision` (0 to 1)
    of them must be good. Returns 0 if enough titles are good even when all are shown, or if there are no
    titles. Returns ALWAYS_ABSTAIN if there is no such threshold.
    """
    from sklearn.metrics import precision_recall_curve

    is_good = np.asarray(rouge, dtype=np.float64) > ROUGE_THRESHOLD
    if not len(is_good) or precision <= 0:
        return 0.0
    if not is_good.any():
        return ALWAYS_ABSTAIN
    precisions, _, thresholds = precision_recall_curve(is_good, np.asarray(confidences, dtype=np.float64))
    reached = np.flatnonzero(precisions[:-1] >= precision)  # the last precision has no threshold
    if not len(reached):
        return ALWAYS_ABSTAIN
    return 0.0 if reached[0] == 0 else float(thresholds[reached[0]])
