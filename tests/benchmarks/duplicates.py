"""Issues with the pairs that maintainers called duplicates, and the candidates of each issue with features.

`retrieval.py` measures with them, and `ordering_weights.py` fits the weights of the order.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.index.ordering import pair_features
from pipeline.index.repository_words import RepositoryWords
from pipeline.text.issue_terms import issue_terms
from pipeline.threads import no_blas_threads

Embed = Callable[[pa.Table], Any]
"""Issues (n rows of number, title, body) -> (n, size), dense or sparse. A large dot product means similar."""
CANDIDATES = 100
"""Number of candidates by vector, and as many by words."""
MICROSECONDS_PER_DAY = 86_400e6


@dataclass(frozen=True)
class Duplicates:
    """Issues by repository and number, and pairs of rows (newer, older) of the same repository."""

    issues: pa.Table
    """columns repo, number, title, body (empty if missing) and created_at"""
    pairs: npt.NDArray[np.int64]
    left_out: int
    """lines of the file that are repeated, name a missing issue, or whose older issue is not the older"""

    @classmethod
    def read(cls, issues: Path, duplicates: Path) -> Duplicates:
        """Reads a Parquet file of issues, and a file of pairs with the columns newer, older or repo, newer,
        older. Pull requests are left out, and so are their pairs.

        Exits the process if the pairs name no repository although the issues are of several.
        """
        table = pq.read_table(issues, columns=["repo", "number", "kind", "title", "body", "created_at"])
        table = table.filter(pc.equal(table["kind"], "issue")).drop_columns("kind")
        table = table.sort_by([("repo", "ascending"), ("number", "ascending")])
        for column in ("title", "body"):
            place = table.column_names.index(column)
            table = table.set_column(place, column, pc.fill_null(table[column], ""))
        header, *lines = duplicates.read_text().splitlines()
        repositories = pc.unique(table["repo"]).to_pylist()
        if "repo" not in header.split("\t") and len(repositories) > 1:
            sys.exit(f"{duplicates} has no column repo, but {issues} has {len(repositories)} repositories.")
        row_of = {
            key: row
            for row, key in enumerate(zip(*(table[c].to_pylist() for c in ("repo", "number")), strict=True))
        }
        pairs = []
        for line in lines:
            values = dict(zip(header.split("\t"), line.split("\t"), strict=True))
            repo = values.get("repo", repositories[0] if repositories else None)
            newer, older = (row_of.get((repo, int(values[name]))) for name in ("newer", "older"))
            if newer is not None and older is not None and older < newer:
                pairs.append((newer, older))
        pairs = sorted(set(pairs))
        return cls(table, np.array(pairs, np.int64).reshape(-1, 2), len(lines) - len(pairs))

    @cached_property
    def repositories(self) -> list[slice]:
        """The rows of each repository."""
        names = self.issues["repo"].to_pylist()
        starts = [row for row in range(len(names)) if row == 0 or names[row] != names[row - 1]]
        return [slice(first, end) for first, end in zip(starts, [*starts[1:], len(names)], strict=False)]

    @cached_property
    def days(self) -> npt.NDArray[np.float64]:
        """The time of each issue in days; NaN if it is unknown."""
        times = self.issues["created_at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        days: npt.NDArray[np.float64] = times.to_numpy(zero_copy_only=False).astype(np.float64)
        return days / MICROSECONDS_PER_DAY

    @cached_property
    def older_of(self) -> dict[int, set[int]]:
        """The older issues of each newer one."""
        older_of: dict[int, set[int]] = {}
        for newer, older in self.pairs.tolist():
            older_of.setdefault(newer, set()).add(older)
        return older_of


@dataclass(frozen=True)
class Candidates:
    """The candidates of one issue: rows, features, and whether each is marked as its duplicate."""

    row: int
    items: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]
    marked: npt.NDArray[np.bool_]


class CandidateSearch:
    """Finds the candidates of all issues, as a release does: the nearest by vector and the best by words."""

    def __init__(self, data: Duplicates, vectors: npt.NDArray[np.floating]) -> None:
        self._data, self._vectors = data, vectors
        self.seconds = 0.0
        """CPU seconds that were spent so far, without the search by vector"""

    def __iter__(self) -> Iterator[Candidates]:
        """Yields the candidates of every issue that has older ones in its repository.

        NumPy's own threads are off until the last one, as they are in `titler index`.
        """
        with no_blas_threads():
            for rows in self._data.repositories:
                yield from self._in_repository(rows)

    def _in_repository(self, rows: slice) -> Iterator[Candidates]:
        began = time.process_time()
        issues = self._data.issues.slice(rows.start, rows.stop - rows.start)
        terms = issue_terms(issues["title"].to_pylist(), issues["body"].to_pylist())
        words = RepositoryWords(terms, terms)
        self.seconds += time.process_time() - began
        for position in range(1, len(terms)):
            yield self._candidates(words, rows.start, position)

    def _candidates(self, words: RepositoryWords, first: int, position: int) -> Candidates:
        row = first + position
        cosines = self._vectors[first:row] @ self._vectors[row]
        nearest = np.argsort(-cosines, kind="stable")[:CANDIDATES]
        began = time.process_time()
        items = np.union1d(nearest, words.best(position, position, CANDIDATES))
        ages = (self._data.days[row] - self._data.days[first + items]).astype(np.float32)
        features = pair_features(words, position, items, cosines[items].astype(np.float32), ages)
        self.seconds += time.process_time() - began
        marked = np.isin(items + first, list(self._data.older_of.get(row, ())))
        return Candidates(row, items + first, features, marked)
