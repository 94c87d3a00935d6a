"""A random order of issues in which issues of the same repository stand together in short runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RUN_LENGTH = 64
"""Issues of one repository per run in contrastive training, where issues that resemble each other are the
hard ones."""


def order_in_runs(
    groups: npt.NDArray[np.int64], length: int, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """A random order (n,) of rows in which `length` rows of a group stand together; the last run of a group
    may be shorter.

    `groups` (n,) has the group of each row.
    """
    order = random.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    group_start = np.searchsorted(groups[order], groups[order])
    run = np.cumsum((np.arange(len(order)) - group_start) % length == 0) - 1
    return order[np.argsort(random.permutation(len(order))[run], kind="stable")]
