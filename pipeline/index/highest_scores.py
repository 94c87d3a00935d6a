"""Finds the highest scores of each row of a matrix, without sorting or partitioning whole rows.

A row is divided into groups. Each group's maximum is one of the row's scores. So the n-th highest maximum is
at most the n-th highest score, and only the few scores that are at least this maximum need to be examined.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
SCORES_PER_GROUP = 64


def highest_scores(
    scores: Scores, count: int, tie: float | Scores, bounds: Scores | None = None
) -> tuple[Numbers, Numbers, Scores]:
    """Finds the `count` highest scores of each row, and the scores that are lower than the `count`-th highest
    by at most `tie`. `scores` must have more than `count` columns.

    `tie` is one number or one per row. Scores of -inf are left out. If `bounds` (rows,) are given, scores
    that are lower than the bound of their row by more than `tie` are left out, too. Finite bounds make the
    search faster.

    Returns three arrays. The first two have the row and the column of each score that was found, sorted by
    row and then column. The third (rows,) has the `count`-th highest score of each row. It is -inf if fewer
    than `count` scores of the row are not left out.
    """
    height, width = scores.shape
    if bounds is None or not np.isfinite(bounds).all():
        bounds = np.maximum(_lower_bounds(scores, count), -np.inf if bounds is None else bounds)
    lowest = _lowest(bounds, tie)
    positions = np.flatnonzero(scores >= lowest[:, None])
    rows, columns = np.divmod(positions, width)
    values = scores.reshape(-1)[positions]
    last = nth_highest(rows, values, height, count)
    is_kept = values >= _lowest(last, tie)[rows]
    return rows[is_kept], columns[is_kept], last


def nth_highest(rows: Numbers, values: Scores, height: int, count: int) -> Scores:
    """Returns the `count`-th highest value of each of `height` rows, or -inf if a row has fewer values.

    `rows` has the row of each value, in ascending order.
    """
    starts = np.searchsorted(rows, np.arange(height + 1))
    last = np.full(height, -np.inf, dtype=np.float32)
    for row in np.flatnonzero(np.diff(starts) >= count).tolist():
        last[row] = np.partition(values[starts[row] : starts[row + 1]], -count)[-count]
    return last


def _lower_bounds(scores: Scores, count: int) -> Scores:
    """Returns for each row a score that is at most its `count`-th highest score."""
    groups = scores.shape[1] // SCORES_PER_GROUP
    if groups <= count:
        maxima = scores
    else:
        grouped = scores[:, : groups * SCORES_PER_GROUP].reshape(len(scores), SCORES_PER_GROUP, groups)
        maxima = grouped.max(axis=1)
    bounds: Scores = np.partition(maxima, maxima.shape[1] - count, axis=1)[:, -count]
    return bounds


def _lowest(scores: Scores, tie: float | Scores) -> Scores:
    """Returns `scores` minus `tie`: the lowest score to keep in each row. A result of -inf is replaced by the
    lowest finite number, so that scores of -inf are never kept."""
    lowest: Scores = np.maximum(scores - np.asarray(tie, np.float32), np.finfo(np.float32).min)
    return lowest
