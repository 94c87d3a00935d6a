"""The benchmark of duplicate retrieval."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.evaluation.retrieval import RetrievalScores
from tests.benchmarks import tfidf
from tests.benchmarks.retrieval import evaluate, ranks, read

VECTORS = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])


def test_an_issue_is_ranked_among_older_issues_only():
    assert ranks(VECTORS, [(3, 1), (3, 2), (3, 0), (1, 0)]).tolist() == [1, 2, 3, 1]


def test_sparse_and_dense_vectors_give_the_same_ranks():
    sparse = tfidf.embed(["crash on start", "crash on exit", "exit", "exit on start"])
    pairs = [(3, 0), (3, 1), (3, 2)]
    assert ranks(sparse, pairs).tolist() == ranks(sparse.toarray(), pairs).tolist()


def test_ties_take_the_worst_rank():
    assert ranks(np.ones((5, 2)), [(4, 0), (4, 3), (2, 1)]).tolist() == [4, 4, 2]


def test_an_embedding_with_nan_is_an_error():
    with pytest.raises(ValueError, match="not finite"):
        ranks(np.array([[1.0], [np.nan], [1.0]]), [(2, 0)])


def test_pairs_of_several_blocks_stay_in_order():
    assert ranks(np.arange(300.0)[:, None], [(299, row) for row in range(299)]).tolist() == list(
        range(299, 0, -1)
    )


def test_scores_of_any_embedding():
    issues = pa.table({"number": [10, 20, 30, 40], "title": ["a"] * 4, "body": [""] * 4})
    assert evaluate(issues, [(40, 20), (40, 30)], lambda issues: VECTORS) == RetrievalScores(
        0.5, 1.0, 1.0, 0.75
    )


def test_a_pair_with_an_unknown_issue_is_an_error():
    with pytest.raises(KeyError):
        evaluate(pa.table({"number": [1, 2]}), [(3, 1)], lambda issues: VECTORS[:2])


def test_tfidf_on_real_duplicates():
    """The source of the data reports, for another TF-IDF: .201, .396, .476, .294."""
    if "TITLER_TEST_DATA" not in os.environ:
        pytest.skip("TITLER_TEST_DATA is not set: no duplicates to retrieve")
    issues, pairs = read(Path(os.environ["TITLER_TEST_DATA"]))
    scores = evaluate(
        issues,
        pairs,
        lambda issues: tfidf.embed([f"{row['title']}\n{row['body']}" for row in issues.to_pylist()]),
    )
    assert (len(issues), len(pairs)) == (15_815, 1_360)
    assert [scores.recall_at_1, scores.recall_at_5, scores.recall_at_10, scores.mrr] == pytest.approx(
        [0.1985, 0.3934, 0.4757, 0.2917], abs=1e-3
    )
