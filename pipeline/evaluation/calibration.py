"""What a confidence is worth: how the share of titles that an author could have written grows with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
ALIKE = 30
"""ROUGE-L, 0 to 100, over which a title counts as alike its author's: about one word of three is the same, in the same order."""
BINS = 10
FIFTHS = 5
NONE = 2.0
"""A threshold above any confidence."""


@dataclass(frozen=True)
class Bin:
    """The titles whose confidence is from `low` to below `high`; the last bin holds 1, too."""

    low: float
    high: float
    titles: int
    confidence: float
    """the mean"""
    alike: float
    """share with ROUGE-L over ALIKE, 0 to 1"""


@dataclass(frozen=True)
class Confidence:
    """Figures over the titles that a model has, withheld or not; shares are 0 to 1."""

    alike: float
    """share with ROUGE-L over ALIKE"""
    alike_least_sure: float
    """the same of the fifth with the lowest confidence"""
    alike_most_sure: float
    """the same of the fifth with the highest"""
    auc: float
    """how often, of a title that is alike and one that is not, the first has the higher confidence, ties half: 0.5 says nothing
    (Hanley and McNeil 1982); 0.5, too, where all are alike or none is"""
    calibration_error: float
    """mean distance between a bin's confidence and its share, weighed by titles (Naeini 2015): 0 where a confidence is a probability"""
    titles: int


def bins(confidences: Numbers, rouge: Numbers) -> list[Bin]:
    """Ten bins of equal width that hold titles, lowest first, of confidences and ROUGE-L (n,)."""
    alike = rouge > ALIKE
    number = np.minimum((confidences * BINS).astype(int), BINS - 1)
    found = []
    for one in range(BINS):
        inside = number == one
        if inside.any():
            means = float(confidences[inside].mean()), float(alike[inside].mean())
            found.append(Bin(one / BINS, (one + 1) / BINS, int(inside.sum()), *means))
    return found


def confidence(confidences: Numbers, rouge: Numbers) -> Confidence:
    """The figures of confidences and ROUGE-L (n,), n at least 1. Of equal confidences the earlier title counts as the less sure."""
    alike = rouge > ALIKE
    order = np.argsort(confidences, kind="stable")
    fifth = max(1, len(order) // FIFTHS)
    error = sum(one.titles * abs(one.alike - one.confidence) for one in bins(confidences, rouge)) / len(order)
    return Confidence(
        alike=float(alike.mean()),
        alike_least_sure=float(alike[order[:fifth]].mean()),
        alike_most_sure=float(alike[order[-fifth:]].mean()),
        auc=_auc(confidences, alike),
        calibration_error=error,
        titles=len(order),
    )


def _auc(confidences: Numbers, alike: npt.NDArray[np.bool_]) -> float:
    good, bad = np.sort(confidences[alike]), confidences[~alike]
    if not len(good) or not len(bad):
        return 0.5
    above = len(good) - np.searchsorted(good, bad, side="right")
    equal = len(good) - np.searchsorted(good, bad, side="left") - above
    return float((above + equal / 2).sum() / (len(good) * len(bad)))


def threshold(
    confidences: Numbers | Sequence[Any], rouge: Numbers | Sequence[Any], precision: float
) -> float:
    """The lowest confidence from which on at least `precision` (0 to 1) of the titles are alike: under it none should be given.

    0 where that holds of all the titles. NONE where it holds of no set of the surest: no title is given then.
    """
    sure, alike = np.asarray(confidences, dtype=np.float64), np.asarray(rouge, dtype=np.float64) > ALIKE
    order = np.argsort(-sure, kind="stable")
    sure, shares = sure[order], np.cumsum(alike[order]) / np.arange(1, len(order) + 1)
    last = np.append(sure[1:] != sure[:-1], True)[
        : len(sure)
    ]  # titles of one confidence are given or withheld together
    reached = np.flatnonzero(last & (shares >= precision))
    if not len(reached):
        return 0.0 if not len(sure) or precision <= 0 else NONE
    return 0.0 if reached[-1] == len(sure) - 1 else float(sure[reached[-1]])
