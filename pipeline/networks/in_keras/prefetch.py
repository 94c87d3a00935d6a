"""Computes the next items of an iterator in a background thread while the current item is in use."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
PREFETCHED_BATCHES = 8
"""Default number of items that are computed in advance.

With 8 training batches, training does not wait while a file of the lake is read. 8 training batches fit in
any memory.
"""
THREAD_NAME = "prefetch"


def prefetch(
    items: Iterator[Item], count: int = PREFETCHED_BATCHES
) -> AbstractContextManager[Iterator[Item]]:
    """Yields `items`. A background thread computes up to `count` of them in advance.

    Use it as `with prefetch(items) as prefetched: ...`. If the computation of an item raises an exception,
    the block gets the exception when it requests that item. When the block is left, `items` is closed and
    the thread ends.
    """
    return closing(_prefetched(items, count))


Results = SimpleQueue[tuple[Item] | BaseException]


def _prefetched(items: Iterator[Item], count: int) -> Generator[Item, None, None]:
    results: Results[Item] = SimpleQueue()
    free_slots, stopped = threading.Semaphore(count), threading.Event()
    arguments = (items, results, free_slots, stopped)
    thread = threading.Thread(target=_compute, args=arguments, name=THREAD_NAME, daemon=True)
    thread.start()
    try:
        while True:
            result = results.get()
            if isinstance(result, StopIteration):
                return
            if isinstance(result, BaseException):
                raise result
            free_slots.release()
            yield result[0]
    finally:
        stopped.set()
        free_slots.release()
        thread.join()


def _compute(
    items: Iterator[Item], results: Results[Item], free_slots: threading.Semaphore, stopped: threading.Event
) -> None:
    try:
        while free_slots.acquire() and not stopped.is_set():
            results.put((next(items),))
    except BaseException as error:  # also StopIteration, which ends the items
        results.put(error)
    finally:
        if close := getattr(items, "close", None):
            close()
