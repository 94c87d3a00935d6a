"""Marked pairs and a segment in; examples to learn an ordering from, and the scores of orderings, out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.split import subset_of
from pipeline.index.marked_duplicates import MarkedPair
from pipeline.index.ordering import DEFAULT_ORDERING, FEATURES, Ordering
from pipeline.index.ordering_examples import Examples, collect_examples, is_held_out
from pipeline.index.ordering_learning import FOLDS, repository_folds
from pipeline.index.ordering_scores import gain_interval, score_ordering
from tests.index.literal_segments import row, segment

FIRST_OF_2015 = 16436


def test_the_newer_issues_of_pairs_are_examples_and_a_weighted_sample_of_the_others(tmp_path: Path) -> None:
    rows = [row(number, hour=number % 24, day=1 + number // 24) for number in range(1, 31)]
    rows += [row(99, repo="c/d")]
    vectors = np.random.default_rng(1).normal(size=(31, 4))
    pairs = [
        MarkedPair("a/b", 20, 3),
        MarkedPair("a/b", 20, 5),
        MarkedPair("a/b", 21, 40),  # the older one is not in the index
        MarkedPair("c/d", 99, 98),
        MarkedPair("e/f", 2, 1),
    ]
    examples = collect_examples([segment(tmp_path, rows, vectors)], pairs, FIRST_OF_2015)
    assert examples.pairs == 2
    assert examples.repos.tolist() == ["a/b"] * 11  # the newer issue, and ten times as many others
    assert sorted(examples.weights.tolist()) == [1.0] + [2.8] * 10  # 28 others have older issues
    newer = int(np.flatnonzero(examples.duplicates)[0])
    own = examples.issues == newer
    assert (int(own.sum()), int(examples.marked[own].sum())) == (19, 2)  # all older ones are candidates
    assert not examples.marked[~own].any()
    later = collect_examples([segment(tmp_path, rows, vectors)], pairs, FIRST_OF_2015 + 1)
    assert set(later.weights.tolist()) == {1.0}  # the seven issues of the second day are all taken


def test_a_repository_is_held_out_if_no_model_is_trained_on_it() -> None:
    repos = [f"owner/{number}" for number in range(1000)]
    held_out = [repo for repo in repos if is_held_out(repo)]
    assert 150 < len(held_out) < 250
    assert {subset_of(repo) for repo in held_out} == {"validation", "test"}


def examples_of(
    rows: list[tuple[int, float, float, bool]], repos: list[str], duplicates: list[int], weights: list[float]
) -> Examples:
    """Examples with two features, cosine and age. A row has the newer issue, both, and whether it is
    marked."""
    features = np.zeros((len(rows), len(FEATURES)), np.float32)
    features[:, FEATURES.index("cosine")] = [cosine for _, cosine, _, _ in rows]
    features[:, FEATURES.index("age")] = [age for _, _, age, _ in rows]
    return Examples(
        features,
        np.array([marked for *_, marked in rows]),
        np.array([issue for issue, *_ in rows]),
        np.array(repos, np.object_),
        np.array(weights),
        np.array(duplicates),
    )


def by(name: str) -> Ordering:
    return Ordering(name, tuple(4.0 * (each == name) for each in FEATURES), -2.0)


EXAMPLES = examples_of(
    [
        (0, 0.9, 0.1, True),
        (0, 0.5, 0.9, False),
        (1, 0.8, 0.2, False),  # the marked one is not among the candidates of issue 1
        (2, 0.3, 0.7, True),
        (2, 0.3, 0.6, False),  # as near as the marked one
        (3, 0.9, 0.0, False),
    ],
    repos=["a/b", "a/b", "c/d", "c/d"],
    duplicates=[1, 1, 1, 0],
    weights=[1.0, 1.0, 1.0, 7.0],
)


def test_the_scores_of_an_ordering() -> None:
    scores = score_ordering(by("cosine"), EXAMPLES, 0.8)
    assert (scores.recall_at_1, scores.recall_at_5, scores.recall_at_10) == (1 / 3, 2 / 3, 2 / 3)
    assert scores.mrr == pytest.approx((1 + 1e-6 + 0.5) / 3)
    assert scores.precision == 1 / 8  # the first of issue 0 and of issue 3; that of issue 1 has 0.77
    assert scores.coverage == 8 / 10
    assert [row["marked"] for row in scores.reliability if row["high"] == 0.9] == [1 / 8]
    of_all = 1 / (1 + np.exp(-np.array([1.6, 0.0, 1.2, -0.8, -0.8, 1.6])))  # issue 3 stands for seven
    errors = (of_all - [1, 0, 0, 1, 0, 0]) ** 2
    assert scores.brier == pytest.approx(float(errors @ [1, 1, 1, 1, 1, 7]) / 12)


def test_the_gain_of_an_ordering_has_an_interval_over_repositories() -> None:
    gain, low, high = gain_interval(by("cosine"), by("age"), EXAMPLES)
    assert gain == pytest.approx((1 - 0.5 + 0 + 0.5 - 1) / 3)  # issue 0 gains a half, issue 2 loses it
    assert (low, high) == pytest.approx((-0.5, 0.25))  # c/d twice, a/b twice
    assert gain_interval(by("cosine"), by("cosine"), EXAMPLES) == (0.0, 0.0, 0.0)


def test_the_examples_of_some_issues_and_the_folds_of_repositories() -> None:
    part = EXAMPLES.of_issues(np.array([False, False, True, True]))
    assert (part.issues.tolist(), part.repos.tolist(), part.pairs) == ([0, 0, 1], ["c/d", "c/d"], 1)
    joined = Examples.joined([part, EXAMPLES])
    assert (len(joined.repos), joined.pairs, joined.issues.tolist()[3:6]) == (6, 4, [2, 2, 3])
    assert len(Examples.joined([]).features) == 0
    folds = repository_folds(EXAMPLES)
    assert folds[0] == folds[1] != folds[2] == folds[3]
    assert folds.max() < FOLDS
    assert DEFAULT_ORDERING.probabilities(Examples.joined([]).features).tolist() == []
