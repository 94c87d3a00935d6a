"""Forms training batches of bodies with similar lengths, and cuts their padding.

This saves time, because a recurrent network takes one step per column of a batch. It is only correct for
networks that ignore padding at the end of a body. The number of columns is rounded up to one of a few values,
because the network is compiled once for each value.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pipeline.networks.shape import PAD, Ids

WIDTH_MULTIPLE = 32
"""The number of columns of a batch is a multiple of this, or the full length of a body."""
POOLED_BATCHES = 50
"""Number of training batches whose issues are sorted by length together. A larger number makes the lengths
within a batch more similar. A smaller number makes the batches more random."""
ROWS_MULTIPLE = 8
"""The number of issues in a batch by tokens is a multiple of this, so that there are few sizes."""


def lengths(ids: Ids) -> Ids:
    """Returns the lengths (n,) of n texts. Padding at the end of a text does not count.

    `ids` (n, length) are the ids of the texts.
    """
    is_token = ids != PAD
    after_last = ids.shape[1] - is_token[:, ::-1].argmax(axis=1)
    return np.where(is_token.any(axis=1), after_last, 0).astype(np.int32)


def trimmed(ids: Ids) -> Ids:
    """Removes the last columns of `ids` if they are padding in all rows.

    The number of columns that remain is rounded up to a multiple of WIDTH_MULTIPLE, but is at most the
    original number.
    """
    longest = max(1, int(lengths(ids).max(initial=0)))
    return ids[:, : min(ids.shape[1], -(-longest // WIDTH_MULTIPLE) * WIDTH_MULTIPLE)]


def bucketed(batches: Iterator[tuple[Ids, Ids]], tokens: int | None = None) -> Iterator[tuple[Ids, Ids]]:
    """Divides the issues of `batches` into new batches, so that the bodies of a batch have similar lengths.

    Takes POOLED_BATCHES old batches at a time, sorts their issues by the length of the body, and divides them
    into new batches. If `tokens` is None, a new batch has as many issues as an old one. Otherwise the trimmed
    bodies of a new batch have at most `tokens` ids together (padding included), and the batch has as many
    issues as this limit allows, but at least one. If the limit allows more than ROWS_MULTIPLE issues, the
    number of issues is rounded down to a multiple of ROWS_MULTIPLE. Yields the new batches in a random order,
    which is the same in every call.
    """
    random = np.random.default_rng(0)
    pool: list[tuple[Ids, Ids]] = []
    for batch in batches:
        pool.append(batch)
        if len(pool) == POOLED_BATCHES:
            yield from _sorted(pool, random, tokens)
            pool = []
    if pool:
        yield from _sorted(pool, random, tokens)


def _sorted(
    pool: list[tuple[Ids, Ids]], random: np.random.Generator, tokens: int | None
) -> Iterator[tuple[Ids, Ids]]:
    size = len(pool[0][0])
    bodies, titles = (np.concatenate(arrays) for arrays in zip(*pool, strict=True))
    order = np.argsort(lengths(bodies), kind="stable")
    if tokens is None:
        groups = [order[first : first + size] for first in range(0, len(order), size)]
    else:
        groups = _by_tokens(order, bodies, tokens)
    for number in random.permutation(len(groups)):
        yield bodies[groups[number]], titles[groups[number]]


def _by_tokens(order: npt.NDArray[np.intp], bodies: Ids, tokens: int) -> list[npt.NDArray[np.intp]]:
    """Divides `order`, the row indices of `bodies` sorted by length, into groups. The trimmed bodies of a
    group have at most `tokens` ids together, unless the group is a single body."""
    groups = []
    end = len(order)
    while end > 0:
        width = trimmed(bodies[order[end - 1 : end]]).shape[1]
        rows = max(1, tokens // width)
        if rows > ROWS_MULTIPLE:
            rows -= rows % ROWS_MULTIPLE
        groups.append(order[max(0, end - rows) : end])
        end -= rows
    return groups
