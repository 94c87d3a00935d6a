"""Streams training batches from Parquet files as arrays, so that a data set may be larger than memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from pipeline.dataset.repository_runs import order_in_runs
from pipeline.dataset.split import Subset, subset_of
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_matrix
from pipeline.lake.manifest import Manifest
from pipeline.lake.plan import Plan

Ids = npt.NDArray[np.int32]
Rows = tuple[Ids, Ids, npt.NDArray[np.int64]]
"""Three arrays about n issues: the ids of their bodies (n, body length), the ids of their titles (n, title
length), and a number that stands for each issue's repository (n,)."""
Targets = Callable[[Ids, Ids], tuple[Ids, npt.NDArray[np.bool_]]]
"""A function that takes the ids of n bodies and of their titles. It returns the titles that a network learns
to write, and a mask (n,): whether the body is enough to learn the title from."""
SHUFFLE_BUFFER = 100_000
"""Number of rows that are shuffled together."""


def read_rows(
    lake: Lake, manifests: Sequence[Manifest], plan: Plan, subset: Subset, lengths: tuple[int, int]
) -> Iterator[Rows]:
    """Yields the issues of a subset (`train`, `validation` or `test`): three arrays per Parquet file.

    The arrays are the ids of the bodies, the ids of the titles, and a number for each issue's repository.
    Issues that are too short or too long for training are left out. If an issue occurs in several days of
    `plan`, it is read from the earliest of these days. The issues are read from the table vectors_v1:
    `manifests` describe the batches to read, and each batch has one or more Parquet files. `lengths` are the
    numbers of ids per body and per title. Raises LakeError if a file is missing or damaged.
    """
    for manifest, file in lake.parts(manifests):
        table = lake.read_part(manifest, file)
        ids = table.column("issue_id").to_numpy()
        # Hashes each repository once per file: a hash per issue took 40% of the time for reading an epoch.
        dictionary = pc.dictionary_encode(table.column("repo")).combine_chunks()
        repos, repo_of_row = dictionary.dictionary.to_pylist(), dictionary.indices.to_numpy()
        in_subset = np.array([subset_of(repo) == subset for repo in repos], dtype=bool)[repo_of_row]
        mask = in_subset & table.column("trainable").to_numpy() & plan.keep_mask(manifest.day, ids)
        if mask.any():
            numbers = np.array([zlib.crc32(repo.encode()) for repo in repos], dtype=np.int64)
            bodies = list_matrix(table.column("body"), lengths[0])
            titles = list_matrix(table.column("title"), lengths[1])
            yield bodies[mask], titles[mask], numbers[repo_of_row[mask]]


class TrainingBatches:
    """A function that takes the number of an epoch and yields the epoch's training batches.

    A training batch is a pair (bodies, titles) of arrays of ids, with one row per issue. It has `batch_size`
    issues; the last training batch may have fewer. Without a seed, the issues keep their order. With a seed,
    each epoch reads the days in a different order. At least SHUFFLE_BUFFER issues are shuffled together; the
    last group of an epoch may be smaller. The same seed and epoch give the same training batches. If
    `run_length` is over 1, the shuffled issues come in runs: up to `run_length` issues of the same repository
    in a row.

    The optional function `targets` takes bodies and their authors' titles. It returns the titles to learn,
    and one boolean per issue, which is true if the title can be learned from the body alone. If the subset is
    `train`, the issues whose boolean is false are left out.
    """

    def __init__(
        self,
        lake: Lake,
        manifests: Sequence[Manifest],
        plan: Plan,
        subset: Subset,
        lengths: tuple[int, int],
        batch_size: int,
        seed: int | None = None,
        run_length: int = 1,
        targets: Targets | None = None,
    ) -> None:
        self._lake = lake
        self._manifests = [manifest for manifest in manifests if manifest.rows]
        self._plan = plan
        self._subset = subset
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._run_length = run_length
        self._targets = targets

    def __call__(self, epoch: int) -> Iterator[tuple[Ids, Ids]]:
        manifests = list(self._manifests)
        random = None
        if self._seed is not None:
            random = np.random.default_rng([self._seed, epoch])
            manifests = [manifests[position] for position in random.permutation(len(manifests))]
        buffer: list[Rows] = []
        for file_rows in read_rows(self._lake, manifests, self._plan, self._subset, self._lengths):
            buffer.append(self._with_targets(file_rows))
            if sum(len(bodies) for bodies, *_ in buffer) >= SHUFFLE_BUFFER:
                bodies, titles, repos = self._shuffle(buffer, random)
                full = len(bodies) - len(bodies) % self._batch_size
                yield from self._cut(bodies[:full], titles[:full])
                buffer = [(bodies[full:], titles[full:], repos[full:])]
        if buffer:
            yield from self._cut(*self._shuffle(buffer, random)[:2])

    def _with_targets(self, rows: Rows) -> Rows:
        if self._targets is None:
            return rows
        bodies, titles, repos = rows
        titles, learnable = self._targets(bodies, titles)
        in_batch = learnable if self._subset == "train" else np.ones_like(learnable)
        return bodies[in_batch], titles[in_batch], repos[in_batch]

    def _cut(self, bodies: Ids, titles: Ids) -> Iterator[tuple[Ids, Ids]]:
        for start in range(0, len(bodies), self._batch_size):
            yield bodies[start : start + self._batch_size], titles[start : start + self._batch_size]

    def _shuffle(self, buffer: list[Rows], random: np.random.Generator | None) -> Rows:
        bodies, titles, repos = (np.concatenate(arrays) for arrays in zip(*buffer, strict=True))
        if random is None:
            return bodies, titles, repos
        if self._run_length == 1:
            order = random.permutation(len(bodies))
        else:
            order = order_in_runs(repos, self._run_length, random)
        return bodies[order], titles[order], repos[order]
