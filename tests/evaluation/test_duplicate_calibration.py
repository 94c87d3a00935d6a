"""Log odds in; the log odds that hold for other repositories out."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.duplicate_calibration import (
    FITS,
    LogOddsCurve,
    brier_score,
    calibration_error,
    choose_curve,
    reliability,
)


def pairs(count: int, odds_of: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log odds, and marks whose true log odds are `odds_of` times as large, but for a step at zero."""
    random = np.random.default_rng(seed)
    log_odds = random.uniform(-4, 4, count)
    return log_odds, random.random(count) < 1 / (1 + np.exp(-odds_of * log_odds))


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_curve_rises_strictly_and_gives_the_true_probabilities(method: str) -> None:
    log_odds, marked = pairs(20_000, 0.5, seed=1)
    curve = FITS[method](log_odds, marked, np.ones(20_000))  # type: ignore[index]  # a literal
    grid = np.linspace(-6, 6, 500)
    assert (np.diff(curve(grid)) > 0).all()
    inside = np.linspace(-3, 3, 13)
    assert 1 / (1 + np.exp(-curve(inside))) == pytest.approx(1 / (1 + np.exp(-0.5 * inside)), abs=0.05)


def test_pairs_count_as_often_as_their_weight_says() -> None:
    log_odds, marked = np.repeat([-1.0, 1.0], 4), np.array([0, 0, 0, 1, 0, 1, 1, 1], bool)
    weights = np.where(marked, 1.0, 10.0)
    repeated = np.repeat(np.arange(8), weights.astype(int))
    for fit in FITS.values():
        once, often = fit(log_odds, marked, weights), fit(log_odds[repeated], marked[repeated], np.ones(44))
        assert np.array(once.points) == pytest.approx(np.array(often.points), abs=1e-2)


@pytest.mark.parametrize("marked", [[False, False], [True, True]])
def test_marks_of_one_kind_leave_the_log_odds_as_they_are(marked: list[bool]) -> None:
    for fit in FITS.values():
        curve = fit(np.array([-1.0, 2.0]), np.array(marked), np.ones(2))
        assert curve(np.array([-5.0, 0.0, 5.0])) == pytest.approx([-5.0, 0.0, 5.0])


def test_the_method_is_chosen_that_is_better_on_other_repositories() -> None:
    """A step can be followed by the staircase only; a few pairs of a straight line, better by Platt's."""
    random = np.random.default_rng(3)
    log_odds = random.uniform(-4, 4, 6000)
    marked = random.random(6000) < np.where(log_odds > 2, 0.9, 0.3)
    folds, ones = np.arange(6000) % 5, np.ones(6000)
    curve, briers = choose_curve(log_odds, marked, ones, folds, np.ones(6000, bool))
    assert curve.method == "isotonic"
    assert briers["isotonic"] < briers["platt"]
    log_odds, marked = pairs(100, 1.0, seed=2)
    curve, _ = choose_curve(log_odds, marked, ones[:100], folds[:100], np.ones(100, bool))
    assert curve.method == "platt"


def test_the_reliability_curve_and_its_errors() -> None:
    probabilities, marked = np.array([0.05, 0.0, 0.62, 0.68, 1.0]), np.array([0, 0, 1, 0, 1], bool)
    weights = np.array([8.0, 2.0, 1.0, 1.0, 1.0])
    curve = reliability(probabilities, marked, weights)
    assert [(row["low"], row["high"], row["pairs"], row["marked"]) for row in curve] == [
        (0.0, 0.1, 10, 0.0),
        (0.6, 0.7, 2, 0.5),
        (0.9, 1.0, 1, 1.0),
    ]
    assert [row["probability"] for row in curve] == pytest.approx([0.04, 0.65, 1.0])
    assert calibration_error(curve) == pytest.approx((10 * 0.04 + 2 * 0.15) / 13)
    assert brier_score(probabilities, marked, weights) == pytest.approx((0.02 + 0.1444 + 0.4624) / 13)
    assert calibration_error([]) == brier_score(np.empty(0), np.empty(0, bool), np.empty(0)) == 0


def test_a_curve_goes_on_in_parallel_outside_its_points() -> None:
    curve = LogOddsCurve("platt", ((0.0, 1.0), (2.0, 5.0)))
    assert curve(np.array([-1.0, 1.0, 3.0])).tolist() == [0.0, 3.0, 6.0]
