"""A segment of the index: its files, how they are written, and how they are opened.

A segment is a batch of the table segments_v1. It has one value per item (issue) in each of its columns. The
items are sorted by repository and then by age, so the issues of a repository are consecutive.

    items.parquet           the values that results show: id, address, repository, title, times
    repositories.parquet    where the items of each repository begin, and how many there are
    vectors.npy             (items, size) float16: the embeddings, exactly as embeddings_v1 has them
    created_at.npy          (items,) int64: when the issue was opened, in microseconds since 1970
    issue_id.npy            (items,) int64
    source_day.npy          (items,) int64: the source day, in days since 1970
    terms.npy, item_terms.npy    the terms of the issues, see `segment_terms`
    issues.ann              the Annoy index of the vectors; only if the segment is not searched exactly

If a column is added later, it becomes another file NAME.npy, or another column of items.parquet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.contracts import SEGMENT_REPOSITORIES, SEGMENTS
from pipeline.errors import LakeError
from pipeline.index import annoy_index
from pipeline.index.release_days import EmbeddingMatrix
from pipeline.index.segment_terms import read_terms, take_terms, write_terms
from pipeline.index.unit_vectors import Lengths, Rows, lengths_of
from pipeline.lake.batches import Lake
from pipeline.lake.files import parquet_bytes
from pipeline.lake.manifest import Manifest
from pipeline.text.issue_terms import IssueTerms

ITEMS_FILE = "items.parquet"
REPOSITORIES_FILE = "repositories.parquet"
VECTORS_FILE = "vectors.npy"
CREATED_AT_FILE = "created_at.npy"
ISSUE_ID_FILE = "issue_id.npy"
SOURCE_DAY_FILE = "source_day.npy"
ANNOY_FILE = "issues.ann"
AGE_ORDER = [("created_at", "ascending"), ("issue_id", "ascending")]
Numbers = npt.NDArray[np.int64]
RowGroupReader = Callable[["Segment", int, tuple[str, ...]], pa.Table]


def write_segment(
    folder: Path,
    items: pa.Table,
    vectors: EmbeddingMatrix,
    terms: IssueTerms,
    annoy: Mapping[str, int] | None,
) -> None:
    """Writes the files of a segment into `folder`.

    `items` has the columns of segments_v1, with one row per issue. `vectors` (items, size) has the embeddings
    of these issues, and `terms` has their terms. The issues need not be sorted. `annoy` has the settings
    `trees` and `seed` of an Annoy index. If it is None, no Annoy index is built.
    """
    order = pc.sort_indices(items, sort_keys=[("repo", "ascending"), *AGE_ORDER])
    items, vectors = items.take(order), np.ascontiguousarray(vectors[order.to_numpy()])
    (folder / ITEMS_FILE).write_bytes(parquet_bytes(items, SEGMENTS))
    repositories = parquet_bytes(_repositories(items), SEGMENT_REPOSITORIES)
    (folder / REPOSITORIES_FILE).write_bytes(repositories)
    np.save(folder / VECTORS_FILE, vectors)
    np.save(folder / CREATED_AT_FILE, microseconds(items.column("created_at")))
    np.save(folder / ISSUE_ID_FILE, items.column("issue_id").to_numpy())
    np.save(folder / SOURCE_DAY_FILE, days_since_1970(items.column("day")))
    write_terms(folder, take_terms(terms, order.to_numpy().astype(np.int64)))
    if annoy:
        blocks = (vectors[start : start + 8192].astype(np.float32) for start in range(0, len(vectors), 8192))
        path, size = folder / ANNOY_FILE, vectors.shape[1]
        annoy_index.build(blocks, size, path, trees=annoy["trees"], seed=annoy["seed"])


def _repositories(items: pa.Table) -> pa.Table:
    """Returns one row per repository: its first item and its number of items. `items` are sorted."""
    runs = pc.run_end_encode(items.column("repo").combine_chunks())
    ends = runs.run_ends.to_numpy().astype(np.int64)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return pa.table({"repo": runs.values, "first_item": starts[: len(ends)], "items": ends - starts})


def microseconds(times: pa.ChunkedArray) -> Numbers:
    """Returns timestamps as microseconds since 1970."""
    values: Numbers = times.cast(pa.int64()).to_numpy()
    return values


def days_since_1970(days: pa.ChunkedArray) -> Numbers:
    """Returns days (date32) as numbers of days since 1970."""
    return days.cast(pa.int32()).to_numpy().astype(np.int64)


class Segment:
    """A segment that is open for reading. Opening it reads nothing: every file is opened when it is first
    used, and the arrays are memory-mapped.

    `figures` are the figures in the segment's manifest. `path_of` returns the local path of a file of the
    segment. `read_row_group` is the method `row_group`, or a version of it that caches the results.
    """

    def __init__(
        self,
        figures: Mapping[str, Any],
        path_of: Callable[[str], Path],
        read_row_group: RowGroupReader | None = None,
    ) -> None:
        self._path_of = path_of
        self._read_row_group = read_row_group or Segment.row_group
        self.items = int(figures["items"])
        self.size = int(figures["size"])
        self.first_created_at = int(figures["first_created_at"])
        self.last_created_at = int(figures["last_created_at"])
        self.last_source_day = int(figures["last_source_day"])
        self.has_annoy = bool(figures["annoy"])
        self._term_count: int | None = figures.get("terms")

    @classmethod
    def of_batch(
        cls, lake: Lake, manifest: Manifest, read_row_group: RowGroupReader | None = None
    ) -> Segment:
        """Returns the segment that is stored in a batch."""
        return cls(manifest.figures, lambda name: lake.local_file(manifest, name), read_row_group)

    @cached_property
    def vectors(self) -> EmbeddingMatrix:
        """The embeddings, shape (items, size). Raises LakeError if the file is damaged."""
        return self._array(VECTORS_FILE, np.float16, (self.items, self.size))

    def lengths(self, rows: Rows) -> Lengths:
        """Returns the Euclidean lengths of the vectors in some rows. Raises LakeError if the file is damaged.

        Without an Annoy index, the lengths of all vectors are computed once and kept in memory. With an Annoy
        index, only the vectors in `rows` are read: few are needed, and reading all would be slow.
        """
        return lengths_of(self.vectors[rows]) if self.has_annoy else self._all_lengths[rows]

    @cached_property
    def _all_lengths(self) -> Lengths:
        return lengths_of(self.vectors)

    @cached_property
    def created_at(self) -> Numbers:
        """When each issue was opened, in microseconds since 1970. Raises LakeError if the file is damaged."""
        return self._array(CREATED_AT_FILE, np.int64, (self.items,))

    @cached_property
    def issue_ids(self) -> Numbers:
        """The id of each issue. Raises LakeError if the file is damaged."""
        return self._array(ISSUE_ID_FILE, np.int64, (self.items,))

    @cached_property
    def source_days(self) -> Numbers:
        """The source day of each issue, in days since 1970. Raises LakeError if the file is damaged."""
        return self._array(SOURCE_DAY_FILE, np.int64, (self.items,))

    @cached_property
    def annoy(self) -> annoy_index.Index:
        """The Annoy index of the vectors. Raises LakeError if the file is damaged."""
        path = self._path_of(ANNOY_FILE)
        try:
            return annoy_index.Index(path, self.size)
        except LakeError as error:
            raise _damaged(path, str(error)) from None

    def unmap(self) -> None:
        """Frees the memory of the largest files, which are opened again at their next use. Arrays that were
        returned earlier stay valid, and keep their file mapped."""
        for name in ("vectors", "annoy", "terms"):
            self.__dict__.pop(name, None)

    @property
    def has_terms(self) -> bool:
        """Whether the segment has the terms of its issues. Segments of earlier versions of Titler do not."""
        return self._term_count is not None

    @cached_property
    def terms(self) -> IssueTerms:
        """The terms of each issue. `has_terms` must be true. Raises LakeError if a file is damaged."""
        return read_terms(self._array, self.items, self._term_count or 0)

    def rows(self, items: Numbers, columns: list[str]) -> pa.Table:
        """Returns rows of items.parquet, one per item, in the order of `items`. Reads only the row groups
        that have these rows. Raises LakeError if the file is damaged."""
        if not len(items):
            return SEGMENTS.empty().select(columns)
        groups, rows = np.divmod(items, SEGMENTS.rows_per_row_group)
        order = np.argsort(groups, kind="stable")
        numbers, starts = np.unique(groups[order], return_index=True)
        parts = [
            self._read_row_group(self, number, tuple(columns)).take(pa.array(rows_of_group))
            for number, rows_of_group in zip(numbers.tolist(), np.split(rows[order], starts[1:]), strict=True)
        ]
        table = pa.concat_tables(parts).combine_chunks()
        return table if (np.diff(groups) >= 0).all() else table.take(pa.array(np.argsort(order)))

    def row(self, item: int, columns: Sequence[str]) -> dict[str, Any]:
        """Returns one row of items.parquet. For a few rows, this is faster than `rows`. Raises LakeError if
        the file is damaged."""
        number, place = divmod(item, SEGMENTS.rows_per_row_group)
        table = self._read_row_group(self, number, tuple(columns))
        return {name: table.column(name)[place].as_py() for name in columns}

    def row_group(self, number: int, columns: tuple[str, ...]) -> pa.Table:
        """Returns the row group `number` of items.parquet. Raises LakeError if the file is damaged."""
        return self._read(
            lambda: self._items_file.read_row_group(number, list(columns), use_threads=False).combine_chunks()
        )

    def of_repository(self, repo: str) -> range:
        """Returns the items of a repository, the oldest first. The range is empty if there are none. Raises
        LakeError if the file is damaged."""
        names = self._repository_names
        row = bisect_left(names, repo)
        if row == len(names) or names[row] != repo:
            return range(0)
        first, count = (self._repositories.column(name)[row].as_py() for name in ("first_item", "items"))
        return range(first, first + count)

    def of_repositories(self, repos: pa.Array) -> dict[int, range]:
        """Maps the position of each repository in `repos` to the range of its items, the oldest first.
        Repositories without items are left out. Raises LakeError if the file is damaged."""
        rows = pc.index_in(repos, value_set=self._repositories.column("repo"))
        positions = np.flatnonzero(rows.is_valid().to_numpy(zero_copy_only=False)).tolist()
        stored = self._repositories.take(rows.drop_null())
        firsts, counts = (stored.column(name).to_pylist() for name in ("first_item", "items"))
        return {
            position: range(first, first + count)
            for position, first, count in zip(positions, firsts, counts, strict=True)
        }

    def repository_named(self, name: str) -> str | None:
        """Returns the exact name of the repository that is called `name` in any letter case. Returns None if
        the segment does not have it. Raises LakeError if the file is damaged."""
        repos = self._repositories.column("repo")
        row = pc.index(pc.utf8_lower(repos), name.lower()).as_py()
        return None if row < 0 else str(repos[row].as_py())

    @cached_property
    def _repositories(self) -> pa.Table:
        path = self._path_of(REPOSITORIES_FILE)
        return self._read(lambda: pq.ParquetFile(path, memory_map=True).read().combine_chunks())

    @cached_property
    def _repository_names(self) -> list[str]:
        names: list[str] = self._repositories.column("repo").to_pylist()
        return names

    @cached_property
    def _items_file(self) -> pq.ParquetFile:
        return pq.ParquetFile(self._path_of(ITEMS_FILE), memory_map=True)

    def _array(self, name: str, kind: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        path = self._path_of(name)
        try:
            array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError) as error:
            raise _damaged(path, str(error)) from None
        if array.dtype != kind or array.shape != shape:
            raise _damaged(
                path,
                f"it has the shape {array.shape} and the type {array.dtype}, expected {shape} and "
                f"{np.dtype(kind)}",
            )
        return array.view(np.ndarray)  # the same memory, but np.memmap takes many times longer to index

    def _read(self, read: Callable[[], pa.Table]) -> pa.Table:
        try:
            return read()
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self._path_of(ITEMS_FILE).parent, str(error)) from None


def unmap_all(segments: Iterable[Segment]) -> None:
    """Frees the memory of the largest files of some segments."""
    for segment in segments:
        segment.unmap()


def segment_figures(
    items: pa.Table, size: int, terms: IssueTerms, annoy: Mapping[str, int] | None
) -> dict[str, Any]:
    """Returns the figures for a segment's manifest, except for the recall. `terms` has the terms of the
    items. `annoy` has the settings of the Annoy index, or is None if there is no Annoy index."""
    created_at = microseconds(items.column("created_at"))
    return {
        "items": len(items),
        "size": size,
        "terms": len(terms.terms),
        "annoy": annoy is not None,
        "first_created_at": int(created_at.min()) if len(created_at) else 0,
        "last_created_at": int(created_at.max()) if len(created_at) else 0,
        "last_source_day": int(days_since_1970(items.column("day")).max()) if len(items) else 0,
    }


def _damaged(path: Path, problem: str) -> LakeError:
    folder = path if path.is_dir() else path.parent
    return LakeError(
        f"{path} is damaged: {problem}.",
        f"To see which releases use the segment {folder}, and what to do about each of them: titler verify",
    )
