"""Scores of a confidence, and the threshold below which a model abstains."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.title_confidence import (
    ALWAYS_ABSTAIN,
    ConfidenceBin,
    abstention_threshold,
    confidence_bins,
    score_confidence,
)

GOOD, POOR = 31.0, 30.0  # ROUGE-L; good titles are over 30


def test_bins_count_titles_and_average_confidence_and_share() -> None:
    bins = confidence_bins(
        np.array([0.3125, 0.375, 1.0, 0.9375, 0.0]), np.array([GOOD, POOR, GOOD, GOOD, POOR])
    )
    assert bins == [
        ConfidenceBin(0.0, 0.1, 1, 0.0, 0.0),
        ConfidenceBin(0.3, 0.4, 2, 0.34375, 0.5),
        ConfidenceBin(0.9, 1.0, 2, 0.96875, 1.0),
    ]


def test_scores_of_a_confidence_that_separates_good_titles_from_poor_ones() -> None:
    confidences = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    rouge = np.array([POOR, POOR, POOR, GOOD, POOR, POOR, GOOD, GOOD, GOOD, GOOD])
    scores = score_confidence(confidences, rouge)
    assert (scores.alike, scores.alike_least_sure, scores.alike_most_sure, scores.titles) == (
        0.5,
        0.0,
        1.0,
        10,
    )
    assert scores.auc == 23 / 25  # of 25 pairs 2 are in the wrong order: 0.4 with 0.5 and with 0.6
    assert scores.calibration_error == pytest.approx(
        (0.1 + 0.2 + 0.3 + 0.6 + 0.5 + 0.6 + 0.3 + 0.2 + 0.1 + 0.0) / 10
    )


def test_a_constant_confidence_has_the_auc_of_chance() -> None:
    scores = score_confidence(np.full(4, 0.5), np.array([GOOD, POOR, GOOD, POOR]))
    assert (scores.auc, scores.calibration_error) == (0.5, 0.0)


@pytest.mark.parametrize("rouge", [GOOD, POOR])
def test_the_auc_is_that_of_chance_if_all_titles_are_good_or_none_is(rouge: float) -> None:
    assert score_confidence(np.array([0.2, 0.8]), np.full(2, rouge)).auc == 0.5


@pytest.mark.parametrize(
    (("precision", "expected")),
    [
        (0.5, 0.0),  # 3 of 5: none is withheld
        (0.7, 0.4),  # 3 of 4
        (0.75, 0.4),
        (0.8, 0.8),  # 2 of 2; down to 0.6 only 2 of 3
        (1.0, 0.8),
    ],
)
def test_the_lowest_threshold_that_reaches_the_precision(precision: float, expected: float) -> None:
    assert (
        abstention_threshold([0.6, 0.9, 0.8, 0.4, 0.2], [POOR, GOOD, GOOD, GOOD, POOR], precision) == expected
    )


def test_the_model_always_abstains_if_the_most_confident_title_is_poor() -> None:
    assert abstention_threshold([0.9, 0.8], [POOR, GOOD], 0.9) == ALWAYS_ABSTAIN


def test_titles_of_equal_confidence_are_shown_or_withheld_together() -> None:
    assert abstention_threshold([0.5, 0.5, 0.4], [GOOD, POOR, POOR], 0.9) == ALWAYS_ABSTAIN


@pytest.mark.parametrize(("confidences", "rouge", "precision"), [([], [], 0.9), ([0.3], [POOR], 0.0)])
def test_without_titles_or_without_a_required_precision_nothing_is_withheld(
    confidences: list[float], rouge: list[float], precision: float
) -> None:
    assert abstention_threshold(confidences, rouge, precision) == 0.0
