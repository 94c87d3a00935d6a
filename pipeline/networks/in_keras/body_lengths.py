"""Issues of like length together, and no longer than the longest of them: for networks that pass over padding behind a body.

A recurrent network takes as many steps as a batch is wide. Widths are rounded up, so that few are compiled.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.networks.shape import PAD, Ids

WIDTH = 32
"""widths are multiples of it, up to the whole"""
POOL = 50
"""batches that are sorted together while training: enough that a batch's bodies are of one length, few enough to be drawn at random"""


def lengths(ids: Ids) -> Ids:
    """(n,): places up to the last that is no padding."""
    real = ids != PAD
    return np.where(real.any(axis=1), ids.shape[1] - real[:, ::-1].argmax(axis=1), 0).astype(np.int32)


def trimmed(ids: Ids) -> Ids:
    """The rows without the columns behind the longest of them; the width is a multiple of WIDTH, or all there is."""
    longest = max(1, int(lengths(ids).max(initial=0)))
    return ids[:, : min(ids.shape[1], -(-longest // WIDTH) * WIDTH)]


def alike(batches: Iterator[tuple[Ids, Ids]]) -> Iterator[tuple[Ids, Ids]]:
    """The same issues in batches of the same size, each of bodies of like length: sorted within POOL batches, which come in random order.

    The same batches give the same ones.
    """
    random = np.random.default_rng(0)
    pool: list[tuple[Ids, Ids]] = []
    for batch in batches:
        pool.append(batch)
        if len(pool) == POOL:
            yield from _sorted(pool, random)
            pool = []
    if pool:
        yield from _sorted(pool, random)


def _sorted(pool: list[tuple[Ids, Ids]], random: np.random.Generator) -> Iterator[tuple[Ids, Ids]]:
    size = len(pool[0][0])
    bodies, titles = (np.concatenate(part) for part in zip(*pool, strict=True))
    order = np.argsort(lengths(bodies), kind="stable")
    for number in random.permutation(-(-len(order) // size)):
        rows = order[number * size : (number + 1) * size]
        yield bodies[rows], titles[rows]
