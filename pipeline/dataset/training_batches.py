"""Vectors of a training as batches of arrays: streamed from Parquet parts, so they need not fit in memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from pipeline.dataset.repository_runs import in_runs
from pipeline.dataset.split import Part, part_of
from pipeline.lake.batches import Lake, Manifest
from pipeline.lake.list_columns import list_matrix
from pipeline.lake.pinned import Plan, keep_mask

Ids = npt.NDArray[np.int32]
Rows = tuple[Ids, Ids, npt.NDArray[np.int64]]
"""bodies, titles, and a number (n,) for each one's repository"""
ROWS_SHUFFLED = 100_000


def chosen(
    lake: Lake, manifests: Sequence[Manifest], plan: Plan, part: Part, lengths: tuple[int, int]
) -> Iterator[Rows]:
    """Per Parquet file: bodies (n, lengths[0]), titles (n, lengths[1]) and repositories' numbers of a part's trainable issues."""
    for manifest, file in lake.parts(manifests):
        table = lake.read_part(manifest, file)
        ids = table.column("issue_id").to_numpy()
        # a repository has many issues and is hashed once a file: hashed with every issue, that took two fifths of an epoch of input
        repos = pc.dictionary_encode(table.column("repo")).combine_chunks()
        names, repo = repos.dictionary.to_pylist(), repos.indices.to_numpy()
        inside = np.array([part_of(name) == part for name in names], dtype=bool)[repo]
        mask = inside & table.column("trainable").to_numpy() & keep_mask(plan, manifest.day, ids)
        if mask.any():
            groups = np.array([zlib.crc32(name.encode()) for name in names], dtype=np.int64)
            bodies, titles = (
                list_matrix(table.column("body"), lengths[0]),
                list_matrix(table.column("title"), lengths[1]),
            )
            yield bodies[mask], titles[mask], groups[repo[mask]]


class Batches:
    """(bodies, titles) of `batch_size` issues, the last one smaller; call with the number of the epoch.

    With a seed the parts are taken in another order every epoch, and rows are shuffled within ROWS_SHUFFLED of them;
    the same seed and epoch give the same batches. With `together` issues of a repository come in runs of so many.
    """

    def __init__(
        self,
        lake: Lake,
        manifests: Sequence[Manifest],
        plan: Plan,
        part: Part,
        lengths: tuple[int, int],
        batch_size: int,
        seed: int | None = None,
        together: int = 1,
    ) -> None:
        self._lake = lake
        self._manifests = [manifest for manifest in manifests if manifest.rows]
        self._plan = plan
        self._part = part
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._together = together

    def __call__(self, epoch: int) -> Iterator[tuple[Ids, Ids]]:
        order = list(self._manifests)
        random = None
        if self._seed is not None:
            random = np.random.default_rng([self._seed, epoch])
            order = [order[position] for position in random.permutation(len(order))]
        waiting: list[Rows] = []
        for found in chosen(self._lake, order, self._plan, self._part, self._lengths):
            waiting.append(found)
            if sum(len(rows[0]) for rows in waiting) >= ROWS_SHUFFLED:
                rows = self._shuffled(waiting, random)
                whole = len(rows[0]) - len(rows[0]) % self._batch_size
                yield from self._cut(*(each[:whole] for each in rows[:2]))
                bodies, titles, groups = rows
                waiting = [(bodies[whole:], titles[whole:], groups[whole:])]
        if waiting:
            yield from self._cut(*self._shuffled(waiting, random)[:2])

    def _cut(self, bodies: Ids, titles: Ids) -> Iterator[tuple[Ids, Ids]]:
        for start in range(0, len(bodies), self._batch_size):
            yield bodies[start : start + self._batch_size], titles[start : start + self._batch_size]

    def _shuffled(self, waiting: list[Rows], random: np.random.Generator | None) -> Rows:
        bodies, titles, groups = (np.concatenate(part) for part in zip(*waiting, strict=True))
        if random is None:
            return bodies, titles, groups
        order = (
            random.permutation(len(bodies))
            if self._together == 1
            else in_runs(groups, self._together, random)
        )
        return bodies[order], titles[order], groups[order]
