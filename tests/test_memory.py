"""The highest memory that a process has needed."""

import numpy as np

from pipeline import memory

MIB = 2**20


def test_memory_that_was_given_back_still_counts_until_one_begins_anew():
    memory.begin()
    before = memory.peak()
    np.ones(200 * MIB // 8)
    most = memory.peak()
    memory.begin()
    assert 150 < most - before < 400
    assert most - memory.peak() > 100
