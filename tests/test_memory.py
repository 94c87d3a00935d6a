"""Measuring the peak memory of a process."""

import numpy as np

from pipeline import memory

MIB = 2**20


def test_the_peak_includes_freed_memory_until_it_is_reset():
    memory.reset_peak()
    before = memory.peak()
    np.ones(200 * MIB // 8)
    highest = memory.peak()
    memory.reset_peak()
    assert 150 < highest - before < 400
    assert highest - memory.peak() > 100
