"""Decides how many threads compute: one per core, or only one (`use_one_thread`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")
_process_has_one_thread = False


def map_on_cores(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Returns `work(item)` for each item, in order.

    Several items are computed in parallel, with one thread per core. While these threads run, NumPy's own
    threads are switched off, because they use processor time even when they wait between matrix products.

    A single item is computed with NumPy's own threads. If this process has called `use_one_thread`, all items
    are computed one after another, in the thread that calls this function.
    """
    threads = 1 if _process_has_one_thread else min(len(os.sched_getaffinity(0)), len(items))
    if threads < 2:
        return [work(item) for item in items]
    with no_blas_threads(), ThreadPoolExecutor(threads) as executor:
        return list(executor.map(work, items))


@contextmanager
def no_blas_threads() -> Iterator[None]:
    """Switches off NumPy's own threads within the `with` block.

    The last bits of a matrix product may depend on the number of threads. Within the block, NumPy uses one
    thread, so the result does not depend on the number of cores.
    """
    import numpy as np  # noqa: F401 - only libraries that are loaded can be limited

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def use_one_thread() -> None:
    """Makes this process compute with one thread from now on.

    It is meant for a process that shares its machine with similar processes, one per core.
    """
    global _process_has_one_thread
    if not _process_has_one_thread:
        threadpool_limits(limits=1, user_api="blas")
        _process_has_one_thread = True
