"""A thread makes what comes next; nobody notices but the clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pipeline.networks.in_keras.prefetch import ahead


class Counted:
    """Numbers from 0 on, and what became of them."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.made = 0
        self.closed_in = ""
        self.enough = threading.Event()
        self._count, self._fails_at = count, fails_at

    def __iter__(self) -> Iterator[int]:
        try:
            while self.made < self._count:
                if self.made == self._fails_at:
                    raise ValueError("the third part is damaged")
                self.made += 1
                if self.made == 3:
                    self.enough.set()
                yield self.made - 1
        finally:
            self.closed_in = threading.current_thread().name


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ahead"]


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_all_comes_in_order(count: int) -> None:
    with ahead(iter(Counted(count)), 2) as made:
        assert list(made) == list(range(count))
    assert threads() == []


def test_two_are_made_before_they_are_asked_for_and_no_more() -> None:
    numbers = Counted(50)
    with ahead(iter(numbers), 2) as made:
        assert next(made) == 0
        assert numbers.enough.wait(60)  # the one in use, and two more, without anybody asking
        assert numbers.made == 3


def test_what_is_raised_there_is_raised_here_after_what_was_made_before() -> None:
    with ahead(iter(Counted(50, fails_at=2)), 8) as made:
        assert [next(made), next(made)] == [0, 1]
        with pytest.raises(ValueError, match="the third part is damaged"):
            next(made)
    assert threads() == []


def test_who_leaves_early_leaves_no_thread_and_what_made_them_is_closed_in_it() -> None:
    numbers = Counted(50)
    with ahead(iter(numbers), 2) as made:
        next(made)
    assert threads() == []
    assert numbers.closed_in == "ahead"
