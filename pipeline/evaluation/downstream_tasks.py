"""Measures whether embeddings help in other tasks, such as predicting whether an issue is a bug.

In each task, three methods predict a fact about an issue, and their scores are compared:

- `embedding`: a small model reads the issue's embedding. Only the small model is trained, not the embedding.
- `bag_of_words`: the same small model reads a bag of words of the same text: scikit-learn's TF-IDF of the
  cleaned tokens, with the option `sublinear_tf`. Tokens that occur in only one document are left out.
- `majority`: this method does not read the issue. If the fact is a class, it always predicts the most
  frequent class of the training rows. If the fact is a number, it always predicts the median of the training
  rows.

Each small model has one regularisation parameter. It is chosen on the training rows alone, by three-fold
cross-validation without shuffling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, f1_score, median_absolute_error, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

Mask = npt.NDArray[np.bool_]
Days = npt.NDArray[np.float64]
Figures = dict[str, float | None]
MIN_ROWS = 50
"""A task with fewer rows is skipped, because its figures would say nothing."""
MIN_ROWS_PER_SIDE = 10
"""Minimum number of training rows, and of test rows, in a split."""
MIN_ROWS_PER_CLASS = 5
"""Minimum number of rows of each class among the training rows, and among the test rows."""
FOLDS = 3
INVERSE_PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
METHODS = ("embedding", "bag_of_words", "majority")
CLASS_FIGURES = ("roc_auc", "balanced_accuracy", "f1")
DAYS_FIGURES = ("median_absolute_error_days", "r2_log_days")


@dataclass(frozen=True)
class Features:
    """What the methods read about the n issues of a task, with one row per issue.

    `embeddings` (n, hidden_size) are the embeddings of the issues. `tokens` are the cleaned tokens of the
    same texts.
    """

    embeddings: npt.NDArray[np.float32]
    tokens: Sequence[Sequence[str]]

    def rows(self, mask: Mask) -> Features:
        """Returns the features of only those issues for which `mask` (n,) is true."""
        tokens = [tokens for tokens, selected in zip(self.tokens, mask, strict=True) if selected]
        return Features(self.embeddings[mask], tokens)


def class_shortage(labels: Mask, test: Mask) -> str:
    """Returns why a class has too few training or test rows, or an empty string if both classes have enough.

    For example: "3 positive and 40 negative test rows, expected at least 5 of each". `labels` (n,) says which
    rows are positive. `test` (n,) says which rows are test rows.
    """
    for side, rows in (("training", ~test), ("test", test)):
        positives, negatives = int(labels[rows].sum()), int((~labels[rows]).sum())
        if min(positives, negatives) < MIN_ROWS_PER_CLASS:
            return (
                f"{positives} positive and {negatives} negative {side} rows, "
                f"expected at least {MIN_ROWS_PER_CLASS} of each"
            )
    return ""


def row_shortage(test: Mask) -> str:
    """Returns why there are too few training or test rows, or an empty string if there are enough.

    For example: "50 training and 6 test rows, expected at least 10 of each". `test` (n,) says which rows are
    test rows.
    """
    train_rows, test_rows = int((~test).sum()), int(test.sum())
    if min(train_rows, test_rows) >= MIN_ROWS_PER_SIDE:
        return ""
    return f"{train_rows} training and {test_rows} test rows, expected at least {MIN_ROWS_PER_SIDE} of each"


def classify(features: Features, labels: Mask, test: Mask) -> dict[str, Figures]:
    """Predicts the class of issues with three methods, and measures each method on the test rows.

    Returns a dict from the name of each method in METHODS to its figures: the area under the ROC curve, the
    balanced accuracy, and the F1 of the positive class, all 0 to 1. The methods `embedding` and
    `bag_of_words` train a logistic regression, in which both classes have the same total weight. `labels`
    (n,) are the true classes. `test` (n,) says which rows are test rows. The caller must have checked
    `labels` and `test` with `class_shortage`.
    """
    figures: dict[str, Figures] = {}
    for method, (train_rows, test_rows) in _inputs(features, test).items():
        search = GridSearchCV(
            LogisticRegression(class_weight="balanced", max_iter=2000),
            {"C": INVERSE_PENALTIES},
            scoring="roc_auc",
            cv=FOLDS,
        ).fit(train_rows, labels[~test])
        scores = search.predict_proba(test_rows)[:, 1]
        figures[method] = _class_figures(labels[test], scores, scores > 0.5)
    majority = np.full(int(test.sum()), bool(labels[~test].mean() > 0.5))
    figures["majority"] = _class_figures(labels[test], majority.astype(float), majority)
    return figures


def regress(features: Features, days: Days, test: Mask) -> dict[str, Figures]:
    """Predicts a number of days with three methods, and measures each method on the test rows.

    Returns a dict from the name of each method in METHODS to its figures: the median absolute error in days,
    and R². The methods `embedding` and `bag_of_words` train a ridge regression of log(1 + days). `days` (n,)
    are the true numbers, 0 or more. `test` (n,) says which rows are test rows. R² is computed from log(1 +
    days). It is 1 for a perfect prediction, and 0 for predicting the mean of the test rows.
    """
    figures: dict[str, Figures] = {}
    logs = np.log1p(days)
    for method, (train_rows, test_rows) in _inputs(features, test).items():
        solver = "sparse_cg" if method == "bag_of_words" else "auto"
        search = GridSearchCV(Ridge(solver=solver), {"alpha": PENALTIES}, cv=FOLDS)
        predictions = search.fit(train_rows, logs[~test]).predict(test_rows)
        figures[method] = _days_figures(days[test], predictions)
    figures["majority"] = _days_figures(days[test], np.full(int(test.sum()), np.median(logs[~test])))
    return figures


def _inputs(features: Features, test: Mask) -> Mapping[str, tuple[Any, Any]]:
    """Returns the inputs of the small models: for each method, a pair of training rows and test rows.

    The method `embedding` scales the embeddings. The method `bag_of_words` computes TF-IDF vectors. The
    scaling and the TF-IDF weights are fitted on the training rows alone.
    """
    train_side, test_side = features.rows(~test), features.rows(test)
    scaler, bag_of_words = StandardScaler(), _bag_of_words()
    return {
        "embedding": (scaler.fit_transform(train_side.embeddings), scaler.transform(test_side.embeddings)),
        "bag_of_words": (
            bag_of_words.fit_transform(train_side.tokens),
            bag_of_words.transform(test_side.tokens),
        ),
    }


def _bag_of_words() -> Any:
    """Returns a scikit-learn pipeline that converts lists of tokens to TF-IDF vectors.

    Tokens that occur in only one list are left out. An empty token is added to each list, because
    scikit-learn refuses texts without words. If no other tokens remain, all vectors are equal.
    """
    with_empty_token = FunctionTransformer(  # scikit-learn refuses texts without words
        lambda texts: [["", *tokens] for tokens in texts]
    )
    return make_pipeline(
        with_empty_token, TfidfVectorizer(analyzer=list, sublinear_tf=True, min_df=2, dtype=np.float32)
    )


def _class_figures(labels: Mask, scores: npt.NDArray[np.float64], predictions: Mask) -> Figures:
    return {
        "roc_auc": float(roc_auc_score(labels, scores)),
        "balanced_accuracy": float(balanced_accuracy_score(labels, predictions)),
        "f1": float(f1_score(labels, predictions, zero_division=0)),
    }


def _days_figures(days: Days, predicted_logs: Days) -> Figures:
    predicted_days = np.expm1(np.maximum(predicted_logs, 0))
    return {
        "median_absolute_error_days": float(median_absolute_error(days, predicted_days)),
        "r2_log_days": float(r2_score(np.log1p(days), predicted_logs)),
    }
