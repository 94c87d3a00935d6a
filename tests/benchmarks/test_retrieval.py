"""Ranks of older duplicates."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.evaluation.retrieval import Retrieval
from tests.benchmarks import tfidf
from tests.benchmarks.retrieval import evaluate, ranks, read

VECTORS = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])


def test_the_rank_of_an_older_issue_is_among_older_issues_alone():
    assert ranks(VECTORS, [(3, 1), (3, 2), (3, 0), (1, 0)]).tolist() == [1, 2, 3, 1]


def test_sparse_rows_rank_as_dense_ones():
    sparse = tfidf.embed(["crash on start", "crash on exit", "exit", "exit on start"])
    pairs = [(3, 0), (3, 1), (3, 2)]
    assert ranks(sparse, pairs).tolist() == ranks(sparse.toarray(), pairs).tolist()


def test_of_equals_the_last_rank_counts():
    assert ranks(np.ones((5, 2)), [(4, 0), (4, 3), (2, 1)]).tolist() == [4, 4, 2]


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="no number"):
        ranks(np.array([[1.0], [np.nan], [1.0]]), [(2, 0)])


def test_more_pairs_than_are_asked_together_keep_their_order():
    assert ranks(np.arange(300.0)[:, None], [(299, row) for row in range(299)]).tolist() == list(
        range(299, 0, -1)
    )


def test_figures_of_any_embedding():
    issues = pa.table({"number": [10, 20, 30, 40], "title": ["a"] * 4, "body": [""] * 4})
    assert evaluate(issues, [(40, 20), (40, 30)], lambda issues: VECTORS) == Retrieval(0.5, 1.0, 1.0, 0.75)


def test_a_pair_of_an_issue_that_is_not_there_is_refused():
    with pytest.raises(KeyError):
        evaluate(pa.table({"number": [1, 2]}), [(3, 1)], lambda issues: VECTORS[:2])


def test_the_floor_on_real_duplicates():
    """Published beside the data for another TF-IDF: .201, .396, .476, .294."""
    if "TITLER_TEST_DATA" not in os.environ:
        pytest.skip("TITLER_TEST_DATA is not set: no duplicates to retrieve")
    issues, pairs = read(Path(os.environ["TITLER_TEST_DATA"]))
    found = evaluate(
        issues,
        pairs,
        lambda issues: tfidf.embed([f"{row['title']}\n{row['body']}" for row in issues.to_pylist()]),
    )
    assert (len(issues), len(pairs)) == (15_815, 1_360)
    assert [found.recall_at_1, found.recall_at_5, found.recall_at_10, found.mrr] == pytest.approx(
        [0.1985, 0.3934, 0.4757, 0.2917], abs=1e-3
    )
