"""Measures the peak memory of this process and of its child processes, in MiB."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path


def reset_peak() -> None:
    """Makes `peak` count from now on. Works on Linux only (clear_refs in proc(5)).

    On other systems, `peak` counts from the start of the process.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Returns this process's highest resident memory, in MiB, since `reset_peak` or since the start."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child_peak() -> float:
    """Returns the highest resident memory, in MiB, of any child process that has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
