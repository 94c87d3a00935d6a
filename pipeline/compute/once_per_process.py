"""Loads a value, such as a model, only once per process, even if many tasks need the value."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TypeVar

from pipeline.lake.batches import Lake

Value = TypeVar("Value")
MAX_VALUES = 2
"""Maximum number of values that a process keeps in memory. A Dask worker serves one command after another, so
it must forget the values of earlier commands."""


def once_per_process(load: Callable[[Lake, str], Value]) -> Callable[[Lake, str], Value]:
    """Returns a function that calls `load(lake, folder)` only once per process for each batch.

    `folder` is the folder of the batch to load. A batch never changes, so a loaded value stays valid. Tasks
    carry only the folder, and not the value, which may be large. If several threads need the same value, one
    of them loads it and the others wait.
    """
    lock = threading.Lock()
    loaded = functools.lru_cache(maxsize=MAX_VALUES)(lambda root, folder: load(Lake(root), folder))

    def load_once(lake: Lake, folder: str) -> Value:
        with lock:
            return loaded(lake.root, folder)

    return load_once
