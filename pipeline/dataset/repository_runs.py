"""Orders issues at random, but keeps issues of the same repository together in short runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RUN_LENGTH = 64
"""Number of consecutive issues of one repository in contrastive training. The network must learn to tell
issues apart, and issues of one repository are the hard cases, because they resemble each other."""


def order_in_runs(
    groups: npt.NDArray[np.int64], length: int, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Returns the row numbers 0 to n - 1 in random order, but rows of the same group are next to each other
    in short runs.

    `groups` (n,) has one number per row: rows with equal numbers are in the same group, such as a repository.
    A run has `length` rows of one group, drawn at random. One run of each group may be shorter.
    """
    order = random.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    group_start = np.searchsorted(groups[order], groups[order])
    run = np.cumsum((np.arange(len(order)) - group_start) % length == 0) - 1
    return order[np.argsort(random.permutation(len(order))[run], kind="stable")]
