"""What a confidence is worth, and the threshold that it is held to."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.calibration import NONE, Bin, bins, confidence, threshold

GOOD, POOR = 31.0, 30.0  # ROUGE-L: over 30 is alike


def test_bins_hold_their_titles_confidence_and_share() -> None:
    found = bins(np.array([0.3125, 0.375, 1.0, 0.9375, 0.0]), np.array([GOOD, POOR, GOOD, GOOD, POOR]))
    assert found == [
        Bin(0.0, 0.1, 1, 0.0, 0.0),
        Bin(0.3, 0.4, 2, 0.34375, 0.5),
        Bin(0.9, 1.0, 2, 0.96875, 1.0),
    ]


def test_a_confidence_that_tells_good_titles_from_poor_ones() -> None:
    sure = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    rouge = np.array([POOR, POOR, POOR, GOOD, POOR, POOR, GOOD, GOOD, GOOD, GOOD])
    found = confidence(sure, rouge)
    assert (found.alike, found.alike_least_sure, found.alike_most_sure, found.titles) == (0.5, 0.0, 1.0, 10)
    assert found.auc == 23 / 25  # of 25 pairs the two of 0.4 with 0.5 and 0.6 stand the wrong way round
    assert found.calibration_error == pytest.approx(
        (0.1 + 0.2 + 0.3 + 0.6 + 0.5 + 0.6 + 0.3 + 0.2 + 0.1 + 0.0) / 10
    )


def test_a_confidence_that_is_the_same_of_everything_says_nothing() -> None:
    found = confidence(np.full(4, 0.5), np.array([GOOD, POOR, GOOD, POOR]))
    assert (found.auc, found.calibration_error) == (0.5, 0.0)


@pytest.mark.parametrize("rouge", [GOOD, POOR])
def test_where_all_are_alike_or_none_is_there_is_nothing_to_tell_apart(rouge: float) -> None:
    assert confidence(np.array([0.2, 0.8]), np.full(2, rouge)).auc == 0.5


@pytest.mark.parametrize(
    ("precision", "found"),
    [
        (0.5, 0.0),  # three of five: all are given
        (0.7, 0.4),  # 3 of 4
        (0.75, 0.4),
        (0.8, 0.8),  # 2 of 2; of the three down to 0.6 only two
        (1.0, 0.8),
    ],
)
def test_the_lowest_threshold_that_keeps_to_the_precision(precision: float, found: float) -> None:
    assert threshold([0.6, 0.9, 0.8, 0.4, 0.2], [POOR, GOOD, GOOD, GOOD, POOR], precision) == found


def test_no_title_is_given_where_even_the_surest_is_poor() -> None:
    assert threshold([0.9, 0.8], [POOR, GOOD], 0.9) == NONE


def test_titles_of_one_confidence_are_given_or_withheld_together() -> None:
    assert threshold([0.5, 0.5, 0.4], [GOOD, POOR, POOR], 0.9) == NONE


@pytest.mark.parametrize(("sure", "rouge", "precision"), [([], [], 0.9), ([0.3], [POOR], 0.0)])
def test_nothing_to_judge_by_and_nothing_asked_for_withhold_nothing(
    sure: list[float], rouge: list[float], precision: float
) -> None:
    assert threshold(sure, rouge, precision) == 0.0
