"""Measures the peak memory of this process and of its child processes, in MiB."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path


def reset_peak() -> None:
    """Restarts the measurement: from now on, `peak` returns the highest memory use since this call.

    Works on Linux only (see clear_refs in proc(5)). On other systems this function does nothing, and `peak`
    returns the highest memory use since the start of the process.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Returns the highest resident memory of this process in MiB, since the last call of `reset_peak` or
    since the start of the process."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child_peak() -> float:
    """Returns the resident memory, in MiB, of the finished child process that has used the most."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
