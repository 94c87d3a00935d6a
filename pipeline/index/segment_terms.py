"""Stores and reads the terms of a segment's issues.

There are only two files, so that few requests are needed to read the terms from a bucket. One file has a
record for each term of each item (issue). The other file has a record for each item, which says where the
terms of the item begin. One more record at the end of this file says where the last item's terms end. The
items are sorted by repository, so the terms of a repository are consecutive.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.text.issue_terms import IssueTerms

TERMS_VERSION: Final = 1
"""Version of the rules by which issues are split into terms. A segment with another version is built
again."""
TERMS_FILE, ITEM_TERMS_FILE = "terms.npy", "item_terms.npy"
_TERM: Final = np.dtype([("terms", np.uint32), ("counts", np.uint8), ("kinds", np.uint8)])
_ITEM: Final = np.dtype([("offsets", np.int64), ("body_hashes", np.uint64), ("automated", np.bool_)])
"""The records of the two files. Their fields are the arrays of `IssueTerms`."""


def write_terms(folder: Path, terms: IssueTerms) -> None:
    """Writes the terms of a segment's items into its folder."""
    of_terms, of_items = np.empty(len(terms.terms), _TERM), np.zeros(len(terms) + 1, _ITEM)
    for name in ("terms", "counts", "kinds"):
        of_terms[name] = getattr(terms, name)
    of_items["offsets"] = terms.offsets
    for name in ("body_hashes", "automated"):
        of_items[name][:-1] = getattr(terms, name)
    np.save(folder / TERMS_FILE, of_terms)
    np.save(folder / ITEM_TERMS_FILE, of_items)


def read_terms(
    array: Callable[[str, npt.DTypeLike, tuple[int, ...]], npt.NDArray[Any]], items: int, total: int
) -> IssueTerms:
    """Returns the terms of a segment. `items` is the number of its issues, and `total` the number of their
    terms.

    The function `array` opens a file, given its name, type and shape. It raises LakeError if the file has
    another type or shape.
    """
    of_terms, of_items = array(TERMS_FILE, _TERM, (total,)), array(ITEM_TERMS_FILE, _ITEM, (items + 1,))
    return IssueTerms(
        of_items["offsets"],
        *(of_terms[name] for name in ("terms", "counts", "kinds")),
        *(of_items[name][:-1] for name in ("body_hashes", "automated")),
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
