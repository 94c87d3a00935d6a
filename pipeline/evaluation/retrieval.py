"""How well embeddings find similar issues, measured without labels: the query is an issue's title, the answer
its own body.

Nobody has labelled which validation issues resemble each other, but the body that belongs to a title is
known. So each title is embedded as `titler similar TEXT` embeds a text, and the rank of its own body among
the bodies of all the issues is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import TitlerError
from pipeline.networks.bag_of_units import unit

Ranks = npt.NDArray[np.int64]
QUERIES_PER_BLOCK = 128
TIE_TOLERANCE = 1e-6
"""Similarities that differ by less count as equal: in float32 the same vector's similarity differs by a
rounding error, depending on its position in a matrix."""


@dataclass(frozen=True)
class RetrievalScores:
    """Scores over queries."""

    recall_at_1: float
    """share of queries whose answer is the nearest, 0 to 1"""
    recall_at_5: float
    recall_at_10: float
    mrr: float
    """mean reciprocal rank, 0 to 1 (Voorhees 1999)"""


def score_ranks(ranks: Ranks) -> RetrievalScores:
    """The scores of ranks (n,), counted from 1."""
    first, five, ten = (float(np.mean(ranks <= limit)) for limit in (1, 5, 10))
    return RetrievalScores(first, five, ten, mrr=float(np.mean(1 / ranks)))


def embedding_ranks(queries: npt.NDArray[Any], answers: npt.NDArray[Any]) -> Ranks:
    """(n,): the rank of `answers[i]` among all answers (n, size), ordered by their cosine with `queries[i]`.

    Ranks count from 1. Ties take the worst rank, so that an embedding which is the same for every text gains
    nothing by it. Raises TitlerError for values that are not finite.
    """
    if not (np.isfinite(queries).all() and np.isfinite(answers).all()):
        raise TitlerError(
            "An embedding has values that are not finite numbers.",
            "Train another model with a lower model.learning_rate.",
        )
    unit_queries, unit_answers = unit(queries), unit(answers)
    return _ranks(len(queries), lambda block: unit_queries[block] @ unit_answers.T)


def tfidf_ranks(queries: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]) -> Ranks:
    """(n,): the floor that needs no model: the same ranks by the words that a title and a body share.

    Similarity is the cosine of TF-IDF (Salton and Buckley 1988): of (1 + ln tf) (1 + ln((1 + n) / (1 + df)))
    per word, where df is counted in the n answers.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    if not any(answers):  # scikit-learn refuses texts without words
        return np.full(len(queries), len(answers), dtype=np.int64)
    vectorizer = TfidfVectorizer(analyzer=list, sublinear_tf=True, norm=None)
    unit_answers = normalize(vectorizer.fit_transform(answers)).T.tocsr()
    query_rows = vectorizer.transform(queries)  # their length does not change the order of answers
    return _ranks(len(queries), lambda block: (query_rows[block] @ unit_answers).toarray())


def _ranks(count: int, similarity: Callable[[slice], npt.NDArray[Any]]) -> Ranks:
    """(count,): of each query the rank of the answer with its own number; ties take the worst rank.

    `similarity` gives the rows (queries of a block, answers); QUERIES_PER_BLOCK of them are in memory at a
    time.
    """
    ranks = np.zeros(count, np.int64)
    for start in range(0, count, QUERIES_PER_BLOCK):
        block = slice(start, min(start + QUERIES_PER_BLOCK, count))
        rows = similarity(block)
        own = rows[np.arange(len(rows)), np.arange(block.start, block.stop)]
        ranks[block] = (rows >= own[:, None] - TIE_TOLERANCE).sum(axis=1)
    return ranks
