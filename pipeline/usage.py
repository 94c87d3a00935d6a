"""Measures the time and the memory that this process and its child processes use."""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """The resources that a command has used: duration and processor time in seconds, the peak memory of its
    process in MiB, and the peak memory of its largest worker process in MiB.

    `worker_peak_mib` is 0 if no worker process ran, or if an earlier command of the same process had a worker
    that used more memory. The processor time includes the worker processes on this machine that have ended,
    but not the workers of another machine.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    worker_peak_mib: float


class Stopwatch:
    """Measures the time and the memory that this process and its worker processes use after the creation of
    the stopwatch."""

    def __init__(self) -> None:
        reset_peak()
        self._started, self._cpu_before = time.perf_counter(), _cpu_seconds()
        self._workers_before = _worker_peak_mib()

    def usage(self) -> Usage:
        """Returns the resources that were used since the creation of the stopwatch."""
        workers = _worker_peak_mib()
        return Usage(
            round(time.perf_counter() - self._started, 3),
            round(_cpu_seconds() - self._cpu_before, 3),
            round(peak_mib(), 1),
            round(workers, 1) if workers > self._workers_before else 0.0,
        )


def _cpu_seconds() -> float:
    """Returns the processor time of this process and of its child processes that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def reset_peak() -> None:
    """Restarts the measurement: from now on, `peak_mib` returns the highest memory use since this call.

    Works on Linux only (see clear_refs in proc(5)). On other systems this function does nothing, and
    `peak_mib` returns the highest memory use since the start of the process.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """Returns the highest resident memory of this process, in MiB, since the last call of `reset_peak`. If
    there was no call, returns the highest since the start of the process."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _worker_peak_mib() -> float:
    """Returns the highest resident memory, in MiB, that any finished child process has used."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
