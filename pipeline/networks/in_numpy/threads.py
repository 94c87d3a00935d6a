"""Runs a function for several items in parallel, in one thread per core."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_on_cores(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Returns `work(item)` for each item, in order. There is one thread per core.

    While these threads run, NumPy's own threads are switched off, because they use processor time even when
    they wait between matrix products. A single item is computed with NumPy's own threads.
    """
    threads = min(len(os.sched_getaffinity(0)), len(items))
    if threads < 2:
        return [work(item) for item in items]
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as executor:
        return list(executor.map(work, items))
