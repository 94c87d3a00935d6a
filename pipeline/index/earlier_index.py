"""Reads the index of a release that Titler 0.1 made, so that such a release can still be searched.

Titler 0.1 did not divide an index into segments. For all issues of a release, the table `index` has two
files: issues.ann, an Annoy index of the vectors, and ids.parquet, which says which issue each vector belongs
to. This version of Titler does not write such an index.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contracts import EVERYWHERE_LIST, INDEX
from pipeline.errors import UsageError
from pipeline.index.annoy_index import Index
from pipeline.index.issues_of_release import missing_issue
from pipeline.index.list_rows import rows_without_reasons
from pipeline.index.queries import Hits
from pipeline.index.segmented_index import QueryIssue, Search
from pipeline.lake.pinned import Pinned
from pipeline.settings import Settings

INDEX_FILE = "issues.ann"
ITEMS_FILE = "ids.parquet"


class EarlierIndex:
    """The index of a release that Titler 0.1 made.

    Row i of `items` describes the issue whose vector is item i of `index`.
    """

    def __init__(self, release: Pinned, items: pa.Table, index: Index, search_k: int) -> None:
        self._release = release
        self._items = items
        self._index = index
        self._search_k = search_k

    def find(self, url: str) -> QueryIssue:
        """Returns the issue with this URL, in any letter case. Raises UsageError if it is not in the
        index."""
        issue = self.find_in_index(url)
        if issue is None:
            raise missing_issue(self._release, url)
        return issue

    def find_in_index(self, url: str) -> QueryIssue | None:
        """Returns the issue with this URL, in any letter case, or None if it is not in the index."""
        urls = pc.utf8_lower(self._items.column("issue_url"))
        matches = np.flatnonzero(pc.equal(urls, url.lower()).to_numpy())
        if not len(matches):
            return None
        row = self._items.slice(int(matches[-1]), 1).to_pylist()[0]
        return QueryIssue(self._index.vector(int(matches[-1])), None, 0, row["issue_id"], row["repo"])

    def repository(self, name: str) -> str:
        """Always raises UsageError, because this index cannot be searched by repository."""
        raise self._cannot("by repository", "--repo")

    def similar(
        self, query_issue: QueryIssue, search_request: Search, hits: Hits | None = None
    ) -> list[dict[str, Any]]:
        """Returns the most similar issues of all repositories, the nearest first.

        The rows have the keys that `SegmentedIndex.similar` describes. Only `list`, `issue_url`, `title` and
        `distance` have values. All other keys are None. `hits` must be None. Raises UsageError if only the
        list of one repository is requested. Also raises it if the request has a `since`, because the index
        does not have the times of its issues.
        """
        if not search_request.everywhere:
            raise self._cannot("by repository", "--same-repo")
        if search_request.since is not None:
            raise self._cannot("by time", "--since")
        pairs = self._index.nearest(query_issue.vector, search_request.count + 1, self._search_k)
        hit_items = self._items.take(pa.array([item for item, _ in pairs], pa.int64()))
        rows = hit_items.select(["issue_id", "issue_url", "title"]).to_pylist()
        rows = [{**row, "distance": distance} for row, (_, distance) in zip(rows, pairs, strict=True)]
        return rows_without_reasons(EVERYWHERE_LIST, rows, query_issue.issue_id, search_request.count)

    def _cannot(self, criterion: str, option: str) -> UsageError:
        return UsageError(
            f"Release {self._release.name} was made by an earlier version of Titler. Its index cannot be "
            f"searched {criterion}.",
            f"Omit {option}. Or ingest another day, so that a new release is published: titler run --day DAY",
        )


def open_earlier_index(release: Pinned, settings: Settings) -> EarlierIndex:
    """Opens the index of a release that Titler 0.1 made. Raises LakeError if a file is missing or damaged."""
    manifest = release.members[INDEX][0]
    items_file = next(file for file in manifest.files if file.name == ITEMS_FILE)
    index = Index(release.lake.local_file(manifest, INDEX_FILE), manifest.figures["size"])
    items = release.lake.read_part(manifest, items_file).combine_chunks()
    return EarlierIndex(release, items, index, settings.index.search_k)
