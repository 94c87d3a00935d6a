"""Prefetching in a thread yields the same items as iterating directly."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pipeline.networks.in_keras.prefetch import prefetch


class Numbers:
    """Yields the numbers from 0 on, and records how many, and the thread that closed it."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.yielded = 0
        self.closed_in = ""
        self.three_yielded = threading.Event()
        self._count, self._fails_at = count, fails_at

    def __iter__(self) -> Iterator[int]:
        try:
            while self.yielded < self._count:
                if self.yielded == self._fails_at:
                    raise ValueError("the third item is damaged")
                self.yielded += 1
                if self.yielded == 3:
                    self.three_yielded.set()
                yield self.yielded - 1
        finally:
            self.closed_in = threading.current_thread().name


def prefetch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_all_items_come_in_order(count: int) -> None:
    with prefetch(iter(Numbers(count)), 2) as items:
        assert list(items) == list(range(count))
    assert prefetch_threads() == []


def test_no_more_than_the_given_number_of_items_is_computed_in_advance() -> None:
    numbers = Numbers(50)
    with prefetch(iter(numbers), 2) as items:
        assert next(items) == 0
        assert numbers.three_yielded.wait(60)  # the one in use, and two in advance
        assert numbers.yielded == 3


def test_an_exception_in_the_thread_is_raised_to_the_consumer_after_the_earlier_items() -> None:
    with prefetch(iter(Numbers(50, fails_at=2)), 8) as items:
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(ValueError, match="the third item is damaged"):
            next(items)
    assert prefetch_threads() == []


def test_leaving_early_ends_the_thread_which_closes_the_items() -> None:
    numbers = Numbers(50)
    with prefetch(iter(numbers), 2) as items:
        next(items)
    assert prefetch_threads() == []
    assert numbers.closed_in == "prefetch"
