"""How much memory this process has needed."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path


def begin() -> None:
    """Linux: begins this process's high-water mark anew (proc(5), clear_refs); elsewhere it stays that of the whole process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """MiB: this process's highest resident memory since `begin`, or since it began."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def workers_peak() -> float:
    """MiB: the highest of any process that this one started and that has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
