"""How near similar issues lie, without anybody's labels: an issue's title as the question, its own body as the answer.

Nobody said which validation issues resemble each other; but of every title it is known which body its author wrote. So each
title is asked as `titler similar TEXT` asks, and the rank of its own body among the bodies of all the issues is noted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import TitlerError
from pipeline.networks.bag_of_units import unit

Ranks = npt.NDArray[np.int64]
QUERIES_TOGETHER = 128
EQUAL = 1e-6
"""Similarities that differ by less are equal: float32 gives the same vector's a rounding apart, by where it stands in a matrix."""


@dataclass(frozen=True)
class Retrieval:
    """Figures over questions."""

    recall_at_1: float
    """share of questions whose answer is the nearest, 0 to 1"""
    recall_at_5: float
    recall_at_10: float
    mrr: float
    """mean reciprocal rank, 0 to 1 (Voorhees 1999)"""


def retrieval(ranks: Ranks) -> Retrieval:
    """The figures of ranks (n,), from 1."""
    first, five, ten = (float(np.mean(ranks <= most)) for most in (1, 5, 10))
    return Retrieval(first, five, ten, mrr=float(np.mean(1 / ranks)))


def own_ranks(questions: npt.NDArray[Any], answers: npt.NDArray[Any]) -> Ranks:
    """(n,): from 1, where `answers[i]` stands among all the answers (n, size), nearest to `questions[i]` first, by cosine.

    The last of equals counts, so that an embedding which is the same of everything gains nothing by it. QUERIES_TOGETHER rows of
    similarities are in memory at a time. Raises TitlerError for what is no number.
    """
    asked, among = unit(questions), unit(answers).T
    found = []
    for start in range(0, len(asked), QUERIES_TOGETHER):
        similarity = asked[start : start + QUERIES_TOGETHER] @ among
        if not np.isfinite(similarity).all():
            raise TitlerError(
                "An embedding holds what is no number.",
                "Train another model with a lower model.learning_rate.",
            )
        own = similarity[np.arange(len(similarity)), np.arange(start, start + len(similarity))]
        found.append((similarity >= own[:, None] - EQUAL).sum(axis=1))
    return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)


def lexical_ranks(questions: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]) -> Ranks:
    """The floor that needs no model: the same ranks by the words that a title and a body share.

    The cosine of TF-IDF, that is of (1 + ln tf) (1 + ln((1 + n) / (1 + df))) a word, learned from the n answers (Salton and Buckley
    1988; smoothed as scikit-learn does).
    """
    postings: dict[str, list[tuple[int, float]]] = {}
    for row, words in enumerate(answers):
        for word, count in Counter(words).items():
            postings.setdefault(word, []).append((row, 1 + math.log(count)))
    squares = np.zeros(len(answers))
    weighed: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], float]] = {}
    for word, found in postings.items():
        rare = 1 + math.log((1 + len(answers)) / (1 + len(found)))
        rows, weights = np.array([row for row, _ in found]), rare * np.array([often for _, often in found])
        squares[rows] += weights**2
        weighed[word] = rows, weights, rare
    lengths = np.sqrt(np.where(squares == 0, 1, squares))
    ranks = []
    for own, words in enumerate(questions):
        similarity = np.zeros(len(answers))
        for word, count in sorted(Counter(words).items()):
            if word in weighed:
                rows, weights, rare = weighed[word]
                similarity[rows] += (1 + math.log(count)) * rare * weights / lengths[rows]
        ranks.append(np.count_nonzero(similarity >= similarity[own] - EQUAL))
    return np.array(ranks, dtype=np.int64)
