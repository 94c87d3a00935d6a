"""Batches of bodies of similar length."""

from __future__ import annotations

import numpy as np

from pipeline.networks.in_keras.length_bucketing import POOLED_BATCHES, bucketed, lengths, trimmed


def body(length: int, width: int = 100) -> list[int]:
    return [7] * length + [0] * (width - length)


def test_a_body_is_as_long_as_its_last_id_that_is_not_padding() -> None:
    assert lengths(np.array([[5, 0, 6, 0], [0, 0, 0, 0], [0, 0, 0, 9]], np.int32)).tolist() == [3, 0, 4]


def test_a_batch_is_cut_behind_its_longest_body_to_a_multiple_of_32() -> None:
    widths = [trimmed(np.array([body(3), body(length)], np.int32)).shape[1] for length in (0, 32, 33, 97)]
    assert widths == [32, 32, 64, 100]


def test_batches_have_bodies_of_similar_length_and_every_issue_once() -> None:
    rng = np.random.default_rng(0)
    bodies = np.array([body(length) for length in rng.integers(1, 100, 8 * POOLED_BATCHES + 3)], np.int32)
    titles = np.arange(len(bodies), dtype=np.int32)[:, None]
    batches = list(
        bucketed((bodies[first : first + 4], titles[first : first + 4]) for first in range(0, len(bodies), 4))
    )
    assert sorted(number for _, indices in batches for number in indices[:, 0].tolist()) == list(
        range(len(bodies))
    )
    assert all((bodies[indices[:, 0]] == batch).all() for batch, indices in batches)
    assert np.median([np.ptp(lengths(batch)) for batch, _ in batches]) < 5
    assert {len(batch) for batch, _ in batches} == {4, 3}


def test_batches_of_short_and_long_bodies_come_in_random_order() -> None:
    bodies = np.array([body(length) for length in range(1, 81)], np.int32)
    mean_lengths = [
        lengths(batch).mean()
        for batch, _ in bucketed(
            iter([(bodies[first : first + 8], bodies[first : first + 8]) for first in range(0, 80, 8)])
        )
    ]
    assert sorted(mean_lengths) == [4.5 + 8 * number for number in range(10)]
    assert mean_lengths != sorted(mean_lengths)


def test_a_batch_by_tokens_has_as_many_issues_as_fit() -> None:
    bodies = np.array([body(length) for length in [10] * 20 + [60] * 6 + [100]], np.int32)
    titles = np.arange(len(bodies), dtype=np.int32)[:, None]
    batches = list(bucketed(iter([(bodies, titles)]), tokens=300))
    shapes = sorted((len(batch), trimmed(batch).shape[1]) for batch, _ in batches)
    # 3 x 100 ids, then 4 x 64, then 8 x 32; the last batch has what is left
    assert shapes == [(3, 100), (4, 32), (4, 64), (8, 32), (8, 32)]
    assert sorted(number for _, numbers in batches for number in numbers[:, 0].tolist()) == list(range(27))


def test_a_body_longer_than_a_batch_by_tokens_is_a_batch_of_its_own() -> None:
    bodies = np.array([body(90), body(95)], np.int32)
    batches = list(bucketed(iter([(bodies, bodies)]), tokens=50))
    assert [len(batch) for batch, _ in batches] == [1, 1]
