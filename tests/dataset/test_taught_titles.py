"""The titles of a teacher among the authors'."""

from collections.abc import Iterator

import numpy as np

from pipeline.dataset.taught_titles import Ids, TaughtTitles, body_keys

BODIES = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], dtype=np.int32)
AUTHORS = np.array([[10], [20], [30], [40]], dtype=np.int32)


def batches(epoch: int) -> Iterator[tuple[Ids, Ids]]:
    yield BODIES[:3], AUTHORS[:3]
    yield BODIES[3:], AUTHORS[3:]


def titles(taught: TaughtTitles, weight: float, epoch: int = 1) -> list[int]:
    """The titles of an epoch."""
    return [int(title) for _, rows in taught.mixed(batches, weight, seed=0)(epoch) for title in rows.ravel()]


def taught(*rows: int) -> TaughtTitles:
    """A teacher with a title for each of these rows of BODIES: a hundred times the author's."""
    chosen = list(rows)
    return TaughtTitles.of([(body_keys(BODIES[chosen]), 100 * AUTHORS[chosen])])


def test_with_weight_1_all_titles_are_the_teachers_where_it_has_one():
    assert titles(taught(3, 0), weight=1) == [1000, 20, 30, 4000]


def test_with_a_smaller_weight_some_titles_are_the_teachers_and_others_in_each_epoch():
    teacher = taught(0, 1, 2, 3)
    drawn = [titles(teacher, weight=0.5, epoch=epoch) for epoch in range(500)]
    assert titles(teacher, weight=0.5, epoch=7) == drawn[7]
    shares = (np.array(drawn) >= 1000).mean(axis=0)
    assert shares.round(1).tolist() == [0.5, 0.5, 0.5, 0.5]


def test_a_teacher_without_titles_changes_nothing():
    assert titles(taught(), weight=1) == [10, 20, 30, 40]


def test_of_two_titles_for_the_same_body_the_first_counts():
    keys = body_keys(BODIES[:1])
    teacher = TaughtTitles.of([(keys, np.array([[7]], np.int32)), (keys, np.array([[8]], np.int32))])
    assert titles(teacher, weight=1) == [7, 20, 30, 40]
