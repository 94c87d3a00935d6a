"""index: embeddings_v1 -> the release's Annoy index with its ids, its recall, and similar_issues_v1."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts import EMBEDDINGS, ISSUES, SIMILAR_ISSUES
from pipeline.errors import StoppedError
from pipeline.index import annoy_index
from pipeline.lake.batches import Lake, Manifest
from pipeline.lake.list_columns import list_matrix
from pipeline.lake.pinned import Pinned, keep_mask
from pipeline.progress import track
from pipeline.settings import Index

INDEX = "index"
IDS_COLUMNS = ["issue_id", "issue_url", "repo", "title", "created_at"]
RECALL_QUERIES = 200
LOOKED_AT = 10
EXACT_BELOW = 10_000


def items(lake: Lake, release: Pinned, size: int) -> tuple[pa.Table, npt.NDArray[np.float32]]:
    """What the index holds: a row an issue (IDS_COLUMNS and day), and its vector, in the same order.

    Superseded issues and those of which the model knows nothing (a zero vector) are left out.
    """
    plan = release.plan()
    tables, vectors = [], []
    for day, manifest in zip(plan.days, release.members(EMBEDDINGS.name, "embed"), strict=True):
        issues = lake.read(release.issues(day), ISSUES, IDS_COLUMNS)
        matrix = list_matrix(lake.read(manifest, EMBEDDINGS).column("embedding"), size).astype(np.float32)
        mask = keep_mask(plan, day.day, issues.column("issue_id").to_numpy()) & matrix.any(axis=1)
        tables.append(
            issues.filter(mask).append_column("day", pa.array([day.day] * int(mask.sum()), pa.string()))
        )
        vectors.append(matrix[mask])
    return pa.concat_tables(tables), np.concatenate(vectors)


def check_recall(release: Pinned, index: Manifest, settings: Index) -> None:
    """Raises StoppedError where an index finds too few of the true neighbours."""
    recall = index.figures["recall_at_10"]
    if recall < settings.min_recall:
        raise StoppedError(
            f"Release {release.name}: recall@10 is {recall:.3f} over {index.figures['recall_queries']} issues, "
            f"expected at least {settings.min_recall} (index.min_recall), so the release is stopped.",
            f"More trees find more: TITLER_INDEX__TREES={settings.trees * 2} titler index --release {release.name}",
            event=f"release/{release.name}/recall",
        )


class Neighbours:
    """Nearest older issues. What is older is said by the time of opening, then by the issue's id."""

    def __init__(
        self, ids: pa.Table, vectors: npt.NDArray[np.float32], index: annoy_index.Index, search_k: int
    ) -> None:
        self._ids = ids
        self._vectors = vectors
        self._index = index
        self._search_k = search_k
        by_age = np.lexsort((ids.column("issue_id").to_numpy(), ids.column("created_at").to_numpy()))
        self._age = np.empty(len(ids), dtype=np.int64)
        self._age[by_age] = np.arange(len(ids))
        self._oldest = by_age[:EXACT_BELOW]
        oldest = vectors[self._oldest]
        self._units = oldest / np.linalg.norm(oldest, axis=1, keepdims=True)

    def older(self, item: int, wanted: int) -> list[tuple[int, float]]:
        """Up to `wanted` items older than `item`, nearest first, with their angular distances.

        The index is asked for enough candidates that LOOKED_AT times `wanted` of them should be older; among fewer than
        EXACT_BELOW older items, where that would be most of the index, the search is exact.
        """
        older = int(self._age[item])
        if older < EXACT_BELOW:
            cosines = self._units[:older] @ self._units[older]
            nearest = np.argsort(-cosines, kind="stable")[:wanted]
            distances = np.sqrt(np.maximum(0, 2 - 2 * cosines[nearest]))
            return list(zip(self._oldest[nearest].tolist(), distances.tolist(), strict=True))
        candidates = min(len(self._ids), wanted * LOOKED_AT * math.ceil(len(self._ids) / older))
        near = self._index.nearest(self._vectors[item], candidates, max(self._search_k, 2 * candidates))
        return [(other, distance) for other, distance in near if self._age[other] < older][:wanted]

    def rows(
        self, wanted: npt.NDArray[np.int64], neighbours: int, near_duplicate_distance: float
    ) -> Iterator[dict[str, object]]:
        """Rows of similar_issues_v1 for the items `wanted`."""
        for item in wanted.tolist():
            found = self.older(item, neighbours)
            asked, *others = self._ids.take(pa.array([item, *(other for other, _ in found)])).to_pylist()
            for rank, (other, (_, distance)) in enumerate(zip(others, found, strict=True), start=1):
                yield {
                    "issue_id": asked["issue_id"],
                    "issue_url": asked["issue_url"],
                    "rank": rank,
                    "similar_issue_id": other["issue_id"],
                    "similar_issue_url": other["issue_url"],
                    "similar_title": other["title"],
                    "distance": distance,
                    "same_repo": asked["repo"] == other["repo"],
                    "near_duplicate": distance < near_duplicate_distance,
                }


def run(lake: Lake, release: Pinned, settings: Index) -> Manifest:
    """The release's index, made once, and the neighbours of the days whose issues have none stored yet.

    Raises UsageError where the release was not embedded, StoppedError where the index's recall is too low: then no neighbours are stored.
    """
    plan = release.plan()
    embeddings = release.members(EMBEDDINGS.name, "embed")
    parameters = {"settings": settings.model_dump(), "superseded": plan.superseded}
    inputs = [manifest.digest for manifest in embeddings]
    found = lake.find(INDEX, {"release": release.name}, inputs, parameters)
    if (
        found is not None
        and release.member_folders(INDEX) == [found.folder]
        and release.has_members(SIMILAR_ISSUES.name)
    ):
        return found

    size = lake.manifest(plan.facts["predictor"]).figures["hidden_size"]
    ids, vectors = items(lake, release, size)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        path = Path(folder) / "issues.ann"
        annoy_index.build([vectors], size, path, trees=settings.trees, seed=settings.seed)
        index = annoy_index.Index(path, size)
        draft = lake.draft(INDEX, {"release": release.name}, inputs, parameters)
        draft.write_file("issues.ann", path.read_bytes())
        buffer = io.BytesIO()
        pq.write_table(ids, buffer, compression="zstd")
        draft.write_file("ids.parquet", buffer.getvalue(), len(ids))
        queries = np.sort(np.random.default_rng(settings.seed).permutation(len(ids))[:RECALL_QUERIES])
        recall = annoy_index.recall(index, vectors, queries, search_k=settings.search_k)
        found = draft.commit(
            {"items": len(ids), "size": size, "recall_at_10": recall, "recall_queries": len(queries)}
        )
        check_recall(release, found, settings)
        _store_neighbours(lake, release, ids, Neighbours(ids, vectors, index, settings.search_k))
    release.set_members(INDEX, [found])
    return found


def _store_neighbours(lake: Lake, release: Pinned, ids: pa.Table, search: Neighbours) -> None:
    facts = release.plan().facts
    chosen = {name: facts[name] for name in ("neighbours", "near_duplicate_distance")}
    days = ids.column("day").to_numpy(zero_copy_only=False)
    embeddings = release.members(EMBEDDINGS.name, "embed")
    manifests = []
    for embedded in track(embeddings, "neighbours", len(embeddings)):
        partition = {"model": facts["model"], "day": embedded.day}
        manifest = lake.find(SIMILAR_ISSUES.name, partition, (embedded.digest,), chosen)
        if manifest is None:
            rows = list(search.rows(np.flatnonzero(days == embedded.day), **chosen))
            draft = lake.draft(SIMILAR_ISSUES.name, partition, (embedded.digest,), chosen)
            draft.write_table(
                "part-00000.parquet", pa.Table.from_pylist(rows, schema=SIMILAR_ISSUES.schema), SIMILAR_ISSUES
            )
            manifest = draft.commit()
        manifests.append(manifest)
    release.set_members(SIMILAR_ISSUES.name, manifests)
