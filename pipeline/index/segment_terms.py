"""The terms of the issues of a segment: how they are stored, and how some of them are taken.

Each array of `IssueTerms` is a file of the segment. The items are sorted by repository, so the terms of a
repository are a slice of each file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.text.issue_terms import IssueTerms

TERMS_VERSION: Final = 1
"""Number of the way in which issues are split into terms. A segment with another number is built again."""
_FILES: Final = {
    "offsets": ("term_offsets.npy", np.int64),
    "terms": ("terms.npy", np.uint32),
    "counts": ("term_counts.npy", np.uint8),
    "kinds": ("term_kinds.npy", np.uint8),
    "body_hashes": ("body_hashes.npy", np.uint64),
    "automated": ("automated.npy", np.bool_),
}
"""The file and the type of each array of `IssueTerms`."""


def write_terms(folder: Path, terms: IssueTerms) -> None:
    """Writes the terms of a segment's items into its folder."""
    for name, (file, _) in _FILES.items():
        np.save(folder / file, getattr(terms, name))


def read_terms(
    array: Callable[[str, type[np.generic], tuple[int, ...]], npt.NDArray[Any]], items: int, total: int
) -> IssueTerms:
    """Returns the terms of a segment with `items` issues, which have `total` terms. `array` opens a file, and
    raises LakeError if it does not have the type and the shape."""
    lengths = {"offsets": items + 1, "body_hashes": items, "automated": items}
    return IssueTerms(
        **{name: array(file, kind, (lengths.get(name, total),)) for name, (file, kind) in _FILES.items()}
    )


def take_terms(terms: IssueTerms, issues: npt.NDArray[np.int64]) -> IssueTerms:
    """Returns the terms of some issues, in the order of `issues`."""
    starts = terms.offsets[issues]
    lengths = terms.offsets[issues + 1] - starts
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    positions = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return IssueTerms(
        offsets,
        terms.terms[positions],
        terms.counts[positions],
        terms.kinds[positions],
        terms.body_hashes[issues],
        terms.automated[issues],
    )
