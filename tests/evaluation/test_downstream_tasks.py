"""Small models on embeddings and on words: literal arrays in, figures out."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.downstream_tasks import Features, classify, few, lacking, regress

ROWS = 90
NOISE = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
LABELS = np.arange(ROWS) % 3 == 0
TEST = np.arange(ROWS) >= 60
EMPTY: list[list[str]] = [[]] * ROWS


def test_what_only_the_embedding_knows_only_the_embedding_finds() -> None:
    known = np.column_stack([NOISE, LABELS + 0.01 * NOISE[:, 0]]).astype(np.float32)
    found = classify(Features(known, EMPTY), LABELS, TEST)
    assert found["embedding"] == {"roc_auc": 1.0, "balanced_accuracy": 1.0, "f1": 1.0}
    assert found["bag_of_words"]["roc_auc"] == 0.5
    assert found["majority"] == {"roc_auc": 0.5, "balanced_accuracy": 0.5, "f1": 0.0}


def test_what_only_the_words_know_only_the_words_find() -> None:
    tokens = [["crash", "now"] if label else ["please", "now"] for label in LABELS]
    found = classify(Features(NOISE, tokens), LABELS, TEST)
    assert found["bag_of_words"] == {"roc_auc": 1.0, "balanced_accuracy": 1.0, "f1": 1.0}
    assert (found["embedding"]["roc_auc"] or 1) < 0.9


def test_a_majority_that_is_has_an_f1_worth_beating() -> None:
    assert classify(Features(NOISE, EMPTY), ~LABELS, TEST)["majority"]["f1"] == pytest.approx(0.8)


def test_days_are_learned_as_logarithms_and_told_in_days() -> None:
    days = np.expm1(2 + np.tile([0.0, 1.0, 2.0], ROWS // 3))
    known = np.log1p(days).reshape(-1, 1).astype(np.float32)
    found = regress(Features(known, EMPTY), days, TEST)
    assert found["embedding"]["r2_log_days"] == pytest.approx(1, abs=0.01)
    median = float(np.expm1(3))
    assert found["majority"] == {
        "median_absolute_error_days": pytest.approx(median - np.expm1(2)),
        "r2_log_days": pytest.approx(0),
    }
    assert found["bag_of_words"]["r2_log_days"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([True] * 5 + [False] * 5 + [True] * 5 + [False] * 5, ""),
        (
            [True] * 5 + [False] * 5 + [True] * 4 + [False] * 6,
            "4 that are and 6 that are not would test, at least 5 of each are needed",
        ),
        (
            [True] * 10 + [False] * 10,
            "10 that are and 0 that are not would train, at least 5 of each are needed",
        ),
    ],
)
def test_a_side_without_a_class_is_told(labels: list[bool], why: str) -> None:
    assert lacking(np.array(labels), np.arange(20) >= 10) == why


def test_a_side_that_is_too_small_is_told() -> None:
    assert few(np.arange(20) >= 10) == ""
    assert few(np.arange(20) >= 11) == "11 would train and 9 test, at least 10 of each are needed"
