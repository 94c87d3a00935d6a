"""Measures how well embeddings find similar issues.

Nobody has labelled which validation issues are similar, but it is known which body belongs to a title. So
each issue's title is a query, and the right answer is the body of the same issue. The titles are embedded in
the same way as TEXT in the command `titler similar TEXT`. The bodies of all issues are ranked by their
similarity to a title. The measure is the rank of the right body.
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
"""Similarities that differ by less than this count as equal. Because of rounding in float32, the computed
similarity of equal vectors depends on their position in a matrix."""


@dataclass(frozen=True)
class RetrievalScores:
    """Scores that say how well a model finds an issue's body when it is given the issue's title.

    The title is the query, and the body is its answer. For each query, the bodies of all issues are ranked by
    their similarity to the query. Each score is a mean over all queries.
    """

    recall_at_1: float
    """share of queries whose answer has rank 1, 0 to 1"""
    recall_at_5: float
    """share of queries whose answer has a rank up to 5, 0 to 1"""
    recall_at_10: float
    """share of queries whose answer has a rank up to 10, 0 to 1"""
    mrr: float
    """mean reciprocal rank, 0 to 1 (Voorhees 1999)"""


def score_ranks(ranks: Ranks) -> RetrievalScores:
    """Returns the scores of n queries, given the rank of each query's answer.

    The scores are the shares of queries whose answer has a rank of at most 1, 5 and 10, and the mean
    reciprocal rank. `ranks` (n,) has the rank of each query's right answer among all answers, counted from 1.
    """
    first, five, ten = (float(np.mean(ranks <= limit)) for limit in (1, 5, 10))
    return RetrievalScores(first, five, ten, mrr=float(np.mean(1 / ranks)))


def embedding_ranks(queries: npt.NDArray[Any], answers: npt.NDArray[Any]) -> Ranks:
    """Returns, for each of n issues, the rank of its body when its title is the query, shape (n,).

    The bodies of all issues are ranked by the cosine similarity of their embeddings to the embedding of the
    title. `queries[i]` is the embedding of the title of issue i, and `answers[i]` that of its body: both
    arrays are (n, size). Ranks count from 1. Ties take the worst rank, so a model that gives every text the
    same embedding gets the worst score. Raises TitlerError for values that are not finite.
    """
    if not (np.isfinite(queries).all() and np.isfinite(answers).all()):
        raise TitlerError(
            "The model's embeddings contain values that are not finite numbers.",
            "Train another model with a lower model.learning_rate.",
        )
    unit_queries, unit_answers = unit(queries), unit(answers)
    return _ranks(len(queries), lambda block: unit_queries[block] @ unit_answers.T)


def tfidf_ranks(queries: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]) -> Ranks:
    """Returns, for each of n issues, the rank of its body when its title is the query, shape (n,).

    This is a baseline without a model: the bodies of all issues are ranked by the words that they share with
    the title. Ranks count from 1, and ties take the worst rank. `queries` are the words of the titles, and
    `answers` are the words of the bodies. Similarity is the cosine of TF-IDF vectors (Salton and Buckley
    1988). A word that occurs tf times in a text has the weight (1 + ln tf) (1 + ln((1 + n) / (1 + df))). df
    is the number of bodies that contain the word.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    if not any(answers):  # scikit-learn refuses texts without words
        return np.full(len(queries), len(answers), dtype=np.int64)
    vectorizer = TfidfVectorizer(analyzer=list, sublinear_tf=True, norm=None)
    unit_answers = normalize(vectorizer.fit_transform(answers)).T.tocsr()
    query_rows = vectorizer.transform(queries)  # not normalized: this does not change the order
    return _ranks(len(queries), lambda block: (query_rows[block] @ unit_answers).toarray())


def _ranks(count: int, similarity: Callable[[slice], npt.NDArray[Any]]) -> Ranks:
    """Returns the rank of each query's right answer among all answers, shape (count,).

    Answer i is the right answer to query i. Ties take the worst rank. The function `similarity` gets a slice
    of the queries and returns their similarities to all answers, (queries, answers). To limit the memory, a
    slice has at most QUERIES_PER_BLOCK queries.
    """
    ranks = np.zeros(count, np.int64)
    for start in range(0, count, QUERIES_PER_BLOCK):
        block = slice(start, min(start + QUERIES_PER_BLOCK, count))
        rows = similarity(block)
        own = rows[np.arange(len(rows)), np.arange(block.start, block.stop)]
        ranks[block] = (rows >= own[:, None] - TIE_TOLERANCE).sum(axis=1)
    return ranks
