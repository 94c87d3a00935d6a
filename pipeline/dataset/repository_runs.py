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
    """Divides the rows of each group into short runs, and returns all row numbers with the runs in random
    order.

    `groups` (n,) has one number per row: rows with equal numbers are in the same group, such as a repository.
    The rows of each group are shuffled and then cut into runs of `length` rows. The last run of a group may
    be shorter. The row numbers are 0 to n - 1.
    """
    order = random.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    group_start = np.searchsorted(groups[order], groups[order])
    run = np.cumsum((np.arange(len(order)) - group_start) % length == 0) - 1
    return order[np.argsort(random.permutation(len(order))[run], kind="stable")]
