"""The highest scores of each row: the same as by sorting the row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.index.highest_scores import highest_scores

TIE = 0.01


def test_scores_as_high_as_the_last_one_but_for_a_tie_are_found() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.495, 0.2], [0.3, 0.3, 0.3, 0.0, 0.9]], dtype=np.float32)
    rows, columns, last = highest_scores(scores, 2, TIE)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        *((0, 1), (0, 2), (0, 3)),
        *((1, 0), (1, 1), (1, 2), (1, 4)),
    ]
    assert last.tolist() == pytest.approx([0.5, 0.3])


def test_scores_of_minus_infinity_are_left_out() -> None:
    scores = np.full((2, 4), -np.inf, dtype=np.float32)
    scores[0, 3] = 0.5
    rows, columns, last = highest_scores(scores, 2, TIE)
    assert (rows.tolist(), columns.tolist(), last.tolist()) == ([0], [3], [-np.inf, -np.inf])


def by_sorting(scores: Any, count: int) -> tuple[list[tuple[int, ...]], list[float]]:
    last = np.sort(scores, axis=1)[:, -count]
    pairs = np.argwhere((scores >= (last - np.float32(TIE))[:, None]) & (scores > -np.inf))
    return [tuple(pair) for pair in pairs.tolist()], last.tolist()


@pytest.mark.parametrize("width", [11, 64, 640, 704, 1000, 5000])
@pytest.mark.parametrize("different", [3, 100, 10**6])
@pytest.mark.parametrize("missing", [0, 0.5, 0.995])
def test_the_result_is_that_of_sorting_each_row(width: int, different: int, missing: float) -> None:
    random = np.random.default_rng(width + different)
    scores = (random.integers(0, different, (20, width)) / different).astype(np.float32)
    scores[random.random(scores.shape) < missing] = -np.inf
    rows, columns, last = highest_scores(scores, 10, TIE)
    assert (list(zip(rows.tolist(), columns.tolist(), strict=True)), last.tolist()) == by_sorting(scores, 10)
