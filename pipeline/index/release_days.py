"""Reads the issues and the embeddings of a release's source days, from which the index is built."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.contracts import EMBEDDINGS, ISSUES
from pipeline.lake.batches import Lake
from pipeline.lake.list_columns import list_matrix
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned

ITEM_COLUMNS = ["issue_id", "issue_url", "repo", "title", "created_at"]
EmbeddingMatrix = npt.NDArray[np.float16]


@dataclass(frozen=True)
class IndexedDay:
    """A source day of a release, with the batches that the index is made from.

    `issues` is the day's batch of issues_v1, and `embeddings` is its batch of embeddings_v1. `superseded` are
    the ids of the day's duplicate openings: issues that an earlier day already has. The rows that this day
    has for them are left out of the index.
    """

    day: str
    issues: Manifest
    embeddings: Manifest
    superseded: tuple[int, ...]

    @property
    def issue_count(self) -> int:
        """The number of the day's issues. Issues with a zero vector are counted, although the index does not
        have them. Issues that an earlier day already has are not counted."""
        return self.embeddings.rows - len(self.superseded)


def days_of_release(release: Pinned) -> list[IndexedDay]:
    """Returns the days of a release, in order. Raises UsageError if the release has no embeddings yet."""
    plan = release.plan
    return [
        IndexedDay(issues.day, issues, embeddings, tuple(plan.superseded.get(issues.day, ())))
        for embeddings, issues in zip(
            release.members[EMBEDDINGS.name], release.members[ISSUES.name], strict=True
        )
    ]


def read_items(
    lake: Lake,
    days: Sequence[IndexedDay],
    size: int,
    group: int = 0,
    groups: int = 1,
    *,
    with_bodies: bool = False,
) -> tuple[pa.Table, EmbeddingMatrix]:
    """Returns the issues of some days: a table with one row per issue, and the vectors (issues, size).

    The table has the columns ITEM_COLUMNS and `day`, and `body` if `with_bodies` is true. Duplicate openings
    (issues that an earlier day already has) are left out. Issues with a zero vector are also left out: the
    model's vocabulary contains none of their words. If the repositories are divided into several `groups`,
    only the issues of the group with the number `group` are returned.
    """
    columns = [*ITEM_COLUMNS, "body"] if with_bodies else ITEM_COLUMNS
    tables, matrices = [], []
    for day in days:
        issues = lake.read(day.issues, ISSUES, columns).combine_chunks()
        matrix = list_matrix(lake.read(day.embeddings, EMBEDDINGS).column("embedding"), size)
        matrix = matrix.astype(np.float16, copy=False)
        keep = ~np.isin(issues.column("issue_id").to_numpy(), np.asarray(day.superseded, dtype=np.int64))
        keep &= matrix.any(axis=1)
        if groups > 1:
            keep &= repository_groups(issues.column("repo"), groups) == group
        source_day = pa.repeat(pa.scalar(date.fromisoformat(day.day)), int(keep.sum()))
        tables.append(issues.filter(keep).append_column("day", source_day))
        matrices.append(matrix[keep])
    return pa.concat_tables(tables).combine_chunks(), np.concatenate(matrices)


def repository_group(repo: str, groups: int) -> int:
    """Returns the number of the group, from 0, that a repository belongs to. It depends only on the
    repository's name."""
    return zlib.crc32(repo.encode()) % groups


def repository_groups(repos: pa.ChunkedArray, groups: int) -> npt.NDArray[np.int64]:
    """Returns the number of each repository's group, one per item of `repos`."""
    encoded = repos.combine_chunks().dictionary_encode()
    numbers = [repository_group(repo, groups) for repo in encoded.dictionary.to_pylist()]
    return np.asarray(numbers, dtype=np.int64)[encoded.indices.to_numpy()]
