"""TF-IDF, the floor of two benchmarks: the title of the most similar issue, and the most similar issues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

ROWS_PER_BLOCK = 64


def vectorizer() -> TfidfVectorizer:
    """scikit-learn's: unit rows of (1 + ln tf) * (1 + ln((1 + n) / (1 + df))); words with two letters in two
    texts.
    """
    return TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)


def embed(texts: Sequence[str]) -> Any:
    """A sparse (n, words) float32 of unit rows, fitted on the n texts; raises ValueError if no word occurs in
    two texts.
    """
    return vectorizer().fit_transform(texts)


class NearestTitle:
    """Predicts the title of the most similar training body by TF-IDF, the first of ties; empty if no word is
    shared.
    """

    def __init__(self, bodies: Sequence[str], titles: Sequence[str]) -> None:
        self._vectorizer = vectorizer()
        self._training_rows = self._vectorizer.fit_transform(bodies).T.tocsr()
        self._titles = titles

    def __call__(self, bodies: Sequence[str]) -> list[str]:
        queries = self._vectorizer.transform(bodies)
        predicted = []
        for start in range(0, len(bodies), ROWS_PER_BLOCK):
            similarity = (queries[start : start + ROWS_PER_BLOCK] @ self._training_rows).toarray()
            predicted += [self._titles[row.argmax()] if row.any() else "" for row in similarity]
        return predicted
