"""TF-IDF, the floor of both benchmarks: the title of the nearest neighbour, and the issue nearest to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

ROWS_TOGETHER = 64


def vectorizer() -> TfidfVectorizer:
    """scikit-learn's: rows of unit length, (1 + ln tf) * (1 + ln((1 + n) / (1 + df))), words of two letters that occur in two texts."""
    return TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)


def embed(texts: Sequence[str]) -> Any:
    """A sparse (n, words) float32 of unit rows, learned from the n texts themselves; ValueError where no word occurs in two."""
    return vectorizer().fit_transform(texts)


class NearestTitle:
    """Says of a body the title of the body that is nearest to it by TF-IDF, the first of equals; nothing where they share no word."""

    def __init__(self, bodies: Sequence[str], titles: Sequence[str]) -> None:
        self._vectorizer = vectorizer()
        self._known = self._vectorizer.fit_transform(bodies).T.tocsr()
        self._titles = titles

    def __call__(self, bodies: Sequence[str]) -> list[str]:
        asked = self._vectorizer.transform(bodies)
        said = []
        for start in range(0, len(bodies), ROWS_TOGETHER):
            similarity = (asked[start : start + ROWS_TOGETHER] @ self._known).toarray()
            said += [self._titles[row.argmax()] if row.any() else "" for row in similarity]
        return said
