"""The benchmark of duplicate retrieval, and the fit of the order's weights."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.evaluation.retrieval import RetrievalScores
from pipeline.index.ordering import DEFAULT_ORDERING, FEATURES, Ordering
from pipeline.index.ordering_fit import AT_MOST, fit_ordering
from tests.benchmarks import ordering_weights, tfidf
from tests.benchmarks.clusters import largest, pairs_of
from tests.benchmarks.duplicates import CandidateSearch, Duplicates
from tests.benchmarks.retrieval import (
    by_tfidf,
    calibration,
    evaluate,
    measure,
    published,
    ranks,
    report,
)
from tests.support.clusters import clusters_of

VECTORS = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])
TITLES = ["crash of the parser", "slow window", "parser crash", "leak in the cache"]


def write(folder: Path, rows: list[tuple[str, int, str, str]], pairs: list[str]) -> tuple[Path, Path]:
    """Writes issues (repo, number, kind, title) and lines of pairs."""
    table = pa.table(
        {
            "repo": [repo for repo, _, _, _ in rows],
            "number": [number for _, number, _, _ in rows],
            "kind": [kind for _, _, kind, _ in rows],
            "title": [title for _, _, _, title in rows],
            "body": pa.array([None] * len(rows), pa.string()),
            "created_at": [datetime(2020, 1, 1 + number % 28, tzinfo=UTC) for _, number, _, _ in rows],
        }
    )
    pq.write_table(table, folder / "issues.parquet")
    (folder / "pairs.tsv").write_text("\n".join(pairs) + "\n")
    return folder / "issues.parquet", folder / "pairs.tsv"


@pytest.fixture
def data(tmp_path: Path) -> Duplicates:
    """Four issues of one repository, the third of which is a duplicate of the first."""
    rows = [("o/r", number, "issue", title) for number, title in enumerate(TITLES, 1)]
    return Duplicates.read(*write(tmp_path, rows, ["newer\tolder", "3\t1"]))


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


def test_scores_of_any_embedding(data):
    pairs = replace(data, pairs=np.array([(3, 1), (3, 2)]))
    assert evaluate(pairs, lambda issues: VECTORS) == RetrievalScores(0.5, 1.0, 1.0, 0.75)


def test_candidates_are_issues_of_the_same_repository(tmp_path):
    rows = [("o/a", 1, "issue", "x"), ("o/b", 1, "issue", "x"), ("o/b", 2, "issue", "x")]
    two = Duplicates.read(*write(tmp_path, rows, ["repo\tnewer\tolder", "o/b\t2\t1"]))
    assert (two.pairs.tolist(), two.repositories) == ([[2, 1]], [slice(0, 1), slice(1, 3)])
    assert [each.items.tolist() for each in CandidateSearch(two, np.ones((3, 2), np.float32))] == [[1]]


def test_pairs_that_cannot_be_ranked_are_counted(tmp_path):
    rows = [("o/a", 1, "issue", "x"), ("o/a", 2, "pull_request", "x"), ("o/a", 3, "issue", "x")]
    lines = ["newer\tolder", "3\t1", "3\t1", "3\t2", "1\t3", "9\t1"]
    data = Duplicates.read(*write(tmp_path, rows, lines))
    assert (data.pairs.tolist(), data.left_out) == ([[1, 0]], 4)


def test_pairs_without_a_repository_need_issues_of_one(tmp_path):
    rows = [("o/a", 1, "issue", "x"), ("o/b", 1, "issue", "x")]
    with pytest.raises(SystemExit, match="has no column repo"):
        Duplicates.read(*write(tmp_path, rows, ["newer\tolder"]))


def test_an_older_issue_that_is_no_candidate_has_the_worst_rank(data, monkeypatch):
    monkeypatch.setattr("tests.benchmarks.duplicates.CANDIDATES", 1)
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], np.float32)
    wordless = replace(data, issues=data.issues.set_column(2, "title", pa.array(["a", "b", "c", "d"])))
    assert published(wordless, vectors).scores == RetrievalScores(0.0, 1.0, 1.0, 0.5)


def test_precision_and_coverage_are_over_all_issues(data):
    everything = published(data, VECTORS.astype(np.float32), min_probability=0.0)
    assert (everything.precision, everything.coverage, everything.marked_suggested) == (1 / 6, 0.75, 1.0)
    nothing = published(data, VECTORS.astype(np.float32), min_probability=1.0)
    assert (nothing.precision, nothing.coverage, nothing.marked_suggested) == (0.0, 0.0, 0.0)


def test_clusters_are_made_of_the_probable_pairs_the_largest_first(data, monkeypatch):
    monkeypatch.setattr("tests.benchmarks.clusters.DEFAULT_ORDERING", replace(DEFAULT_ORDERING, bias=0.0))
    pairs = list(pairs_of(data, VECTORS[[0, 2, 0, 1]]))
    best = max(pairs, key=lambda row: row["probability"])
    assert (best["issue_url"], best["similar_issue_url"]) == ("o/r#3", "o/r#1")
    (cluster,) = largest(clusters_of(pairs, best["probability"]), 1)
    assert [(row["issue_url"], row["title"]) for row in cluster] == [
        ("o/r#1", TITLES[0]),
        ("o/r#3", TITLES[2]),
    ]


def test_calibration_of_probabilities_that_are_right_and_wrong():
    marks = np.array([0.0] * 10 + [1.0] * 10)
    assert calibration(marks, marks) == (0.0, 0.0)
    assert calibration(1 - marks, marks) == (1.0, 1.0)
    assert calibration(np.full(20, 0.5), marks) == (0.25, 0.5)


def test_json_and_table_have_all_figures(data):
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.44], [0.6, 0.8]], np.float32)
    figures = measure(data, lambda issues: vectors)
    assert json.loads(json.dumps(figures)) == figures
    assert figures["published"]["recall_at_1"] == 1.0
    assert set(figures) == {
        "published",
        "vectors",
        "tfidf",
        "precision",
        "coverage",
        "marked_suggested",
        "brier",
        "calibration_error",
        "milliseconds",
        "pairs",
        "pairs_left_out",
    }
    assert report(figures).splitlines()[4].startswith("published order   1.000  1.000  1.000  1.000")


def test_a_fit_finds_what_marks_depend_on_and_keeps_the_signs():
    rng = np.random.default_rng(0)
    features = rng.random((4000, len(FEATURES)), np.float32)
    cosine, age = features[:, FEATURES.index("cosine")], features[:, FEATURES.index("age")]
    rows = np.arange(4000)
    examples = ordering_weights.Examples(features, 6 * cosine + 3 * age > 6, rows, rows % 2)
    weights = fit_ordering(examples.features, examples.marked).to_json()["weights"]
    assert max(weights, key=lambda name: weights[name]) == "cosine"
    assert all(weights[name] <= limit for name, limit in AT_MOST.items())
    assert all(weights[name] >= 0 for name in FEATURES if name not in AT_MOST)


def test_the_threshold_is_the_lowest_with_enough_precision():
    probabilities = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    marked = np.array([True, False, True, False, False])
    assert ordering_weights.min_probability(probabilities, marked) == (0.7, 3)
    assert ordering_weights.min_probability(probabilities, ~marked[::-1] & False) == (1.0, 0)


def test_weights_are_fitted_from_files(data):
    examples = ordering_weights.collect(data, VECTORS.astype(np.float32))
    assert (examples.rows.tolist(), examples.marked.tolist()) == (
        [1, 2, 2, 3, 3, 3],
        [False, True] + [False] * 4,
    )
    assert isinstance(fit_ordering(examples.features, examples.marked), Ordering)
    probabilities = DEFAULT_ORDERING.probabilities(examples.features)
    assert ordering_weights.recall_at_10(examples, probabilities, 1) == 1.0


def test_tfidf_on_real_duplicates():
    """The source of the data reports, for another TF-IDF: .201, .396, .476, .294."""
    if "TITLER_TEST_DATA" not in os.environ:
        pytest.skip("TITLER_TEST_DATA is not set: no duplicates to retrieve")
    folder = Path(os.environ["TITLER_TEST_DATA"])
    data = Duplicates.read(folder / "issues" / "rust.parquet", folder / "duplicates" / "rust.tsv")
    scores = evaluate(data, by_tfidf)
    assert (len(data.issues), len(data.pairs)) == (15_815, 1_360)
    assert [scores.recall_at_1, scores.recall_at_5, scores.recall_at_10, scores.mrr] == pytest.approx(
        [0.1985, 0.3934, 0.4757, 0.2917], abs=1e-3
    )
