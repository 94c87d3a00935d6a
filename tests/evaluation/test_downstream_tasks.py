"""Small models on embeddings and on a bag of words: literal arrays in, figures out."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.downstream_tasks import Features, class_shortage, classify, regress, row_shortage

ROWS = 90
NOISE = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
LABELS = np.arange(ROWS) % 3 == 0
TEST = np.arange(ROWS) >= 60
EMPTY: list[list[str]] = [[]] * ROWS


def test_a_label_that_only_the_embedding_holds_is_predicted_from_the_embedding_alone() -> None:
    embeddings = np.column_stack([NOISE, LABELS + 0.01 * NOISE[:, 0]]).astype(np.float32)
    figures = classify(Features(embeddings, EMPTY), LABELS, TEST)
    assert figures["embedding"] == {"roc_auc": 1.0, "balanced_accuracy": 1.0, "f1": 1.0}
    assert figures["bag_of_words"]["roc_auc"] == 0.5
    assert figures["majority"] == {"roc_auc": 0.5, "balanced_accuracy": 0.5, "f1": 0.0}


def test_a_label_that_only_the_words_hold_is_predicted_from_the_words_alone() -> None:
    tokens = [["crash", "now"] if label else ["please", "now"] for label in LABELS]
    figures = classify(Features(NOISE, tokens), LABELS, TEST)
    assert figures["bag_of_words"] == {"roc_auc": 1.0, "balanced_accuracy": 1.0, "f1": 1.0}
    assert (figures["embedding"]["roc_auc"] or 1) < 0.9


def test_a_positive_majority_has_a_high_f1() -> None:
    assert classify(Features(NOISE, EMPTY), ~LABELS, TEST)["majority"]["f1"] == pytest.approx(0.8)


def test_days_are_predicted_as_logarithms_and_reported_in_days() -> None:
    days = np.expm1(2 + np.tile([0.0, 1.0, 2.0], ROWS // 3))
    embeddings = np.log1p(days).reshape(-1, 1).astype(np.float32)
    figures = regress(Features(embeddings, EMPTY), days, TEST)
    assert figures["embedding"]["r2_log_days"] == pytest.approx(1, abs=0.01)
    median = float(np.expm1(3))
    assert figures["majority"] == {
        "median_absolute_error_days": pytest.approx(median - np.expm1(2)),
        "r2_log_days": pytest.approx(0),
    }
    assert figures["bag_of_words"]["r2_log_days"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([True] * 5 + [False] * 5 + [True] * 5 + [False] * 5, ""),
        (
            [True] * 5 + [False] * 5 + [True] * 4 + [False] * 6,
            "4 positive and 6 negative test rows, expected at least 5 of each",
        ),
        (
            [True] * 10 + [False] * 10,
            "10 positive and 0 negative training rows, expected at least 5 of each",
        ),
    ],
)
def test_a_side_with_too_few_rows_of_a_class(labels: list[bool], reason: str) -> None:
    assert class_shortage(np.array(labels), np.arange(20) >= 10) == reason


def test_a_side_with_too_few_rows() -> None:
    assert row_shortage(np.arange(20) >= 10) == ""
    assert row_shortage(np.arange(20) >= 11) == "11 training and 9 test rows, expected at least 10 of each"
