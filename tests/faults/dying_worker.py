"""Loaded by a Dask worker (`--preload`): at a system call on a file of the lake, the worker dies, or it kills
another process. The variable DYING_WORKER has the group of the call, its number, the process to kill (0: the
worker), and the folder of the lake."""

from __future__ import annotations

import os
from pathlib import Path

from tests.faults import system_calls


def dask_setup(worker: object) -> None:
    """Called by Dask when the worker starts."""
    group, number, victim, lake = os.environ["DYING_WORKER"].split(",", 3)
    system_calls.watch(Path(lake))
    system_calls.arm(group, int(number), "kill before", victim=int(victim))
