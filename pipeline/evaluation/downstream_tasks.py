"""What else an embedding is good for: small models on it, beside the same on a bag of words and beside no model at all.

The embedding is frozen: only the small model on top learns. The bag of words is of the same text, TF-IDF of its cleaned tokens
(scikit-learn's, sublinear, tokens of two documents or more), and the floor says of every row what the training rows have most of, or
their median. A model's one regularisation is chosen on the training rows alone, by three folds in the rows' order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, f1_score, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

Mask = npt.NDArray[np.bool_]
Figures = dict[str, float | None]
LEAST_ROWS = 50
"""Rows of a task under which its figures would say nothing."""
LEAST_A_SIDE, LEAST_OF_A_CLASS = 10, 5
"""Rows that both sides of a split must have, and rows of either class."""
FOLDS = 3
INVERSE_PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
WAYS = ("embedding", "bag_of_words", "majority")
CLASS_FIGURES = ("roc_auc", "balanced_accuracy", "f1")
DAYS_FIGURES = ("median_absolute_error_days", "r2_log_days")


@dataclass(frozen=True)
class Features:
    """n rows: the embeddings (n, hidden_size) and the cleaned tokens of the same texts."""

    embeddings: npt.NDArray[np.float32]
    tokens: Sequence[Sequence[str]]

    def side(self, rows: Mask) -> Features:
        return Features(
            self.embeddings[rows],
            [tokens for tokens, wanted in zip(self.tokens, rows, strict=True) if wanted],
        )


def lacking(labels: npt.NDArray[np.bool_], test: Mask) -> str:
    """Which side of a split has too few rows of a class to give figures; empty where none has."""
    for side, rows in (("train", ~test), ("test", test)):
        found = int(labels[rows].sum()), int((~labels[rows]).sum())
        if min(found) < LEAST_OF_A_CLASS:
            return f"{found[0]} that are and {found[1]} that are not would {side}, at least {LEAST_OF_A_CLASS} of each are needed"
    return ""


def few(test: Mask) -> str:
    """The same for rows without classes."""
    sides = int((~test).sum()), int(test.sum())
    if min(sides) >= LEAST_A_SIDE:
        return ""
    return f"{sides[0]} would train and {sides[1]} test, at least {LEAST_A_SIDE} of each are needed"


def classify(features: Features, labels: npt.NDArray[np.bool_], test: Mask) -> dict[str, Figures]:
    """Logistic regression, classes weighed alike: CLASS_FIGURES on the `test` rows, 0 to 1, by each of WAYS.

    `labels`, `test`: (n,), of which `lacking` says that they will do. The F1 is of the rows that are.
    """
    found: dict[str, Figures] = {}
    for way, (train_rows, test_rows) in _inputs(features, test).items():
        chosen = GridSearchCV(
            LogisticRegression(class_weight="balanced", max_iter=2000),
            {"C": INVERSE_PENALTIES},
            scoring="roc_auc",
            cv=FOLDS,
        ).fit(train_rows, labels[~test])
        scores = chosen.predict_proba(test_rows)[:, 1]
        found[way] = _class_figures(labels[test], scores, scores > 0.5)
    most = bool(labels[~test].mean() > 0.5)
    said = np.full(int(test.sum()), most)
    found["majority"] = _class_figures(labels[test], said.astype(float), said)
    return found


def regress(features: Features, days: npt.NDArray[np.float64], test: Mask) -> dict[str, Figures]:
    """Ridge on log(1 + days): DAYS_FIGURES on the `test` rows by each of WAYS, of which `majority` says the training rows' median.

    `days`: (n,), 0 or more. R² is 1 for a perfect prediction, and 0 for the test rows' own mean.
    """
    found: dict[str, Figures] = {}
    logs = np.log1p(days)
    for way, (train_rows, test_rows) in _inputs(features, test).items():
        chosen = GridSearchCV(
            Ridge(solver="sparse_cg" if way == "bag_of_words" else "auto"), {"alpha": PENALTIES}, cv=FOLDS
        )
        found[way] = _days_figures(days[test], chosen.fit(train_rows, logs[~test]).predict(test_rows))
    found["majority"] = _days_figures(days[test], np.full(int(test.sum()), np.median(logs[~test])))
    return found


def _inputs(features: Features, test: Mask) -> Mapping[str, tuple[Any, Any]]:
    """Per way the rows to train with and those to test with, by what the first alone have taught."""
    ways = {
        "embedding": (StandardScaler(), lambda side: side.embeddings),
        "bag_of_words": (_bag_of_words(), lambda side: side.tokens),
    }
    train_side, test_side = features.side(~test), features.side(test)
    return {
        name: (made.fit_transform(of(train_side)), made.transform(of(test_side)))
        for name, (made, of) in ways.items()
    }


def _bag_of_words() -> Any:
    """Of tokens; nothing at all, a column of zeros, where no token is in two documents."""
    with_a_column = FunctionTransformer(
        lambda texts: [["", *tokens] for tokens in texts]
    )  # else scikit-learn refuses texts without words
    return make_pipeline(
        with_a_column, TfidfVectorizer(analyzer=list, sublinear_tf=True, min_df=2, dtype=np.float32)
    )


def _class_figures(
    labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], said: npt.NDArray[np.bool_]
) -> Figures:
    return {
        "roc_auc": float(roc_auc_score(labels, scores)),
        "balanced_accuracy": float(balanced_accuracy_score(labels, said)),
        "f1": float(f1_score(labels, said, zero_division=0)),
    }


def _days_figures(days: npt.NDArray[np.float64], said: npt.NDArray[np.float64]) -> Figures:
    """`said` are logarithms."""
    logs = np.log1p(days)
    return {
        "median_absolute_error_days": float(np.median(np.abs(np.expm1(np.maximum(said, 0)) - days))),
        "r2_log_days": float(r2_score(logs, said)),
    }
