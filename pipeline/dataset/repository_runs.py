"""The order in which issues are learned from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

TOGETHER = 64
"""issues of a repository that come in a run where issues are held against each other: those that are alike are hard to tell apart"""


def in_runs(groups: npt.NDArray[np.int64], length: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """A random order of rows (n,) in which `length` of a group stand together, the last ones of each group fewer."""
    order = random.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    first = np.searchsorted(groups[order], groups[order])
    run = np.cumsum((np.arange(len(order)) - first) % length == 0) - 1
    return order[np.argsort(random.permutation(len(order))[run], kind="stable")]
