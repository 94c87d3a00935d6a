"""Measuring the time and the memory of a process."""

import subprocess
import sys

import numpy as np

from pipeline import usage
from pipeline.usage import Stopwatch

MIB = 2**20


def test_the_peak_includes_freed_memory_until_it_is_reset():
    usage.reset_peak()
    before = usage.peak_mib()
    np.ones(200 * MIB // 8)
    highest = usage.peak_mib()
    usage.reset_peak()
    assert 150 < highest - before < 400
    assert highest - usage.peak_mib() > 100


def test_the_processor_time_of_ended_child_processes_counts():
    stopwatch = Stopwatch()
    # The operating system counts in ticks of 10 ms, so it can count a little less than was spent.
    spend = "import time\nwhile time.process_time() < 0.25: pass"
    subprocess.run([sys.executable, "-c", spend], check=True)
    assert stopwatch.usage().cpu_seconds >= 0.2


def test_a_stopwatch_without_a_worker_process_has_no_peak_of_workers():
    assert Stopwatch().usage().worker_peak_mib == 0
