"""The order of the rows in contrastive training: runs of issues of one repository."""

import numpy as np

from pipeline.dataset.repository_runs import order_in_runs


def test_issues_of_a_repository_are_in_runs_and_each_issue_occurs_once():
    order = order_in_runs(np.array([1] * 4 + [2] * 2 + [3]), 2, np.random.default_rng(0))
    groups = np.array([1] * 4 + [2] * 2 + [3])[order].tolist()
    assert sorted(order.tolist()) == [0, 1, 2, 3, 4, 5, 6]
    assert groups == [1, 1, 2, 2, 1, 1, 3]


def test_runs_of_length_1_give_a_random_order():
    groups = np.zeros(6, dtype=np.int64)
    assert (
        order_in_runs(groups, 1, np.random.default_rng(1)).tolist()
        != order_in_runs(groups, 1, np.random.default_rng(2)).tolist()
    )
