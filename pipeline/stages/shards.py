"""Vectors of a training as batches of arrays: streamed from Parquet parts, so they need not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.lake import Lake, Manifest
from pipeline.pins import Plan, keep_mask
from pipeline.split import Part, part_of
from pipeline.stages.vectorize import id_matrix

Ids = npt.NDArray[np.int32]
ROWS_SHUFFLED = 100_000


def chosen(
    lake: Lake, manifests: Sequence[Manifest], plan: Plan, part: Part, lengths: tuple[int, int]
) -> Iterator[tuple[Ids, Ids, npt.NDArray[np.int64]]]:
    """Per Parquet file: bodies (n, lengths[0]), titles (n, lengths[1]), issue ids (n,) of the trainable issues in a part of the split."""
    for manifest, file in lake.parts(manifests):
        table = lake.read_part(manifest, file)
        ids = table.column("issue_id").to_numpy()
        inside = np.array([part_of(repo) == part for repo in table.column("repo").to_pylist()], dtype=bool)
        mask = inside & table.column("trainable").to_numpy() & keep_mask(plan, manifest.day, ids)
        if mask.any():
            bodies, titles = id_matrix(table.column("body"), lengths[0]), id_matrix(table.column("title"), lengths[1])
            yield bodies[mask], titles[mask], ids[mask]


class Batches:
    """(bodies, titles) of `batch_size` issues, the last one smaller; call with the number of the epoch.

    With a seed the parts are taken in another order every epoch, and rows are shuffled within ROWS_SHUFFLED of them;
    the same seed and epoch give the same batches.
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
    ) -> None:
        self._lake = lake
        self._manifests = [manifest for manifest in manifests if manifest.rows]
        self._plan = plan
        self._part = part
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed

    def __call__(self, epoch: int) -> Iterator[tuple[Ids, Ids]]:
        order = list(self._manifests)
        random = None
        if self._seed is not None:
            random = np.random.default_rng([self._seed, epoch])
            order = [order[position] for position in random.permutation(len(order))]
        bodies: list[Ids] = []
        titles: list[Ids] = []
        waiting = 0
        for body, title, _ in chosen(self._lake, order, self._plan, self._part, self._lengths):
            bodies.append(body)
            titles.append(title)
            waiting += len(body)
            if waiting >= ROWS_SHUFFLED:
                whole = waiting - waiting % self._batch_size
                body, title = _shuffled(np.concatenate(bodies), np.concatenate(titles), random)
                yield from self._cut(body[:whole], title[:whole])
                bodies, titles, waiting = [body[whole:]], [title[whole:]], waiting - whole
        if waiting:
            yield from self._cut(*_shuffled(np.concatenate(bodies), np.concatenate(titles), random))

    def _cut(self, bodies: Ids, titles: Ids) -> Iterator[tuple[Ids, Ids]]:
        for start in range(0, len(bodies), self._batch_size):
            yield bodies[start : start + self._batch_size], titles[start : start + self._batch_size]


def _shuffled(bodies: Ids, titles: Ids, random: np.random.Generator | None) -> tuple[Ids, Ids]:
    if random is None:
        return bodies, titles
    order = random.permutation(len(bodies))
    return bodies[order], titles[order]
