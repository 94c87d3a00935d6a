"""The calibration: from a confidence to the probability that a title is alike its author's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.errors import TitlerError
from pipeline.evaluation.title_calibration import Curve, calibrate, has_latin_letters

GOOD, POOR = 31.0, 30.0  # ROUGE-L; good titles are over 30
STEPS = Curve("isotonic", confidences=(0.25, 0.5, 0.75), probabilities=(0.0, 0.5, 1.0))


def test_a_platt_curve_is_logistic_in_the_log_odds_of_the_confidence() -> None:
    same = Curve("platt", slope=1.0, intercept=0.0)
    assert same(np.array([0.2, 0.5, 0.9])).tolist() == pytest.approx([0.2, 0.5, 0.9])
    doubled = Curve("platt", slope=0.0, intercept=float(np.log(2)))
    assert doubled(np.array([0.0, 1.0])).tolist() == pytest.approx([2 / 3, 2 / 3])


def test_an_isotonic_curve_is_straight_between_its_points_and_flat_beyond_them() -> None:
    assert STEPS(np.array([0.0, 0.25, 0.375, 0.5, 1.0])).tolist() == [0.0, 0.0, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("curve", [Curve("platt", slope=0.5, intercept=-1.25), STEPS])
def test_a_curve_is_plain_json(curve: Curve) -> None:
    assert Curve.from_json(json.loads(json.dumps(curve.to_json()))) == curve


@pytest.mark.parametrize("wrong", [{"method": "guess"}, {"method": "isotonic", "confidences": [0.5]}])
def test_numbers_that_are_no_curve_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(TitlerError, match="A calibration curve must have the method platt or isotonic"):
        Curve.from_json({**Curve("platt").to_json(), **wrong})


def titles(*groups: tuple[float, int, int]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Confidences, ROUGE-L and repositories of groups of titles: confidence, number of titles, and how many
    of them are good. Ten repositories have as many titles of each kind as possible."""
    confidences, rouge = [], []
    for confidence, count, good in groups:
        confidences += [confidence] * count
        rouge += [GOOD] * good + [POOR] * (count - good)
    return np.array(confidences), np.array(rouge), [f"r{number % 10}" for number in range(len(rouge))]


def test_a_step_is_fitted_by_isotonic_regression() -> None:
    """No logistic curve is as low at 0.4 and 0.45, and as high at 0.5 and 0.9."""
    found = calibrate(*titles((0.1, 50, 5), (0.4, 50, 5), (0.45, 50, 5), (0.5, 50, 45), (0.9, 50, 45)))
    assert found is not None
    assert found.curve.method == "isotonic"
    assert found.curve(np.array([0.2, 0.9])).tolist() == pytest.approx([0.1, 0.9])
    assert found.brier == pytest.approx(0.09, abs=0.001)
    assert (found.titles, found.alike) == (250, 0.42)
    assert found.brier_of_other > found.brier
    assert found.calibration_error < 0.01
    assert [(row.low, row.titles) for row in found.bins] == [(0.1, 150), (0.9, 100)]
    assert (found.bins[0].confidence, found.bins[0].alike) == pytest.approx((0.1, 0.1))


def test_few_titles_on_a_logistic_curve_are_fitted_by_platt() -> None:
    found = calibrate(*titles((0.2, 20, 4), (0.35, 20, 7), (0.5, 20, 10), (0.65, 20, 13), (0.8, 20, 16)))
    assert found is not None
    assert found.curve.method == "platt"
    assert found.curve(np.array([0.2, 0.5, 0.8])).tolist() == pytest.approx([0.2, 0.5, 0.8], abs=0.05)


def test_the_figures_are_json_and_have_the_reliability_curve() -> None:
    found = calibrate(*titles((0.25, 20, 4), (0.75, 20, 16)))
    assert found is not None
    figures = json.loads(json.dumps(found.figures()))
    assert sorted(figures) == [
        *("alike", "brier", "brier_of_other", "calibration_error", "curve", "method", "titles"),
    ]
    assert sum(row["titles"] for row in figures["curve"]) == 40
    assert sorted(figures["curve"][0]) == ["alike", "high", "low", "probability", "titles"]


def test_a_repository_is_not_scored_by_a_curve_that_was_fitted_to_it() -> None:
    confidences, rouge = np.array([0.2, 0.8]), np.array([POOR, GOOD])
    alone = calibrate(confidences, rouge, ["a", "a"])
    assert alone is not None
    assert (alone.brier, alone.bins[0].confidence) == (0.25, 0.5)


@pytest.mark.parametrize(("rouge", "probability"), [(GOOD, 0.75), (POOR, 0.25)])
def test_titles_that_are_all_good_or_all_poor_have_one_probability(rouge: float, probability: float) -> None:
    found = calibrate(np.array([0.2, 0.8]), np.full(2, rouge), ["a", "b"])
    assert found is not None
    assert found.curve.method == "platt"
    assert found.curve(np.array([0.0, 1.0])).tolist() == pytest.approx([probability, probability])


def test_a_confidence_that_is_lower_for_good_titles_gives_one_probability() -> None:
    found = calibrate(*titles((0.2, 10, 8), (0.8, 10, 2)))
    assert found is not None
    assert found.curve(np.array([0.0, 0.2, 0.8, 1.0])).tolist() == pytest.approx([0.5] * 4)


@pytest.mark.parametrize("count", [4, 8, 12])
def test_the_probability_never_falls_as_the_confidence_rises(count: int) -> None:
    for seed in range(10):
        chance = np.random.default_rng(seed)
        confidences, rouge = chance.random(count), np.where(chance.random(count) < 0.5, GOOD, POOR)
        found = calibrate(confidences, rouge, [f"r{number}" for number in range(count)])
        assert found is not None
        assert (np.diff(found.curve(np.linspace(0, 1, 21))) >= 0).all(), f"seed {seed}"


def test_without_titles_there_is_no_calibration() -> None:
    assert calibrate(np.array([]), np.array([]), []) is None


@pytest.mark.parametrize(("title", "judged"), [("Сбой при запуске 4.15", False), ("升级 v2 失败", True)])
def test_rouge_judges_titles_with_latin_letters(title: str, judged: bool) -> None:
    assert has_latin_letters(title) == judged
