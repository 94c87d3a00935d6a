"""index: embeddings_v1 -> the release's Annoy index with its ids, its recall, and similar_issues_v1."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import ann
from pipeline.contracts import EMBEDDINGS, ISSUES, SIMILAR_ISSUES
from pipeline.lake import Lake, Manifest
from pipeline.pins import Pinned, keep_mask
from pipeline.progress import track
from pipeline.settings import Index
from pipeline.stages.vectorize import id_matrix

INDEX = "index"
IDS_COLUMNS = ["issue_id", "issue_url", "repo", "title", "created_at"]
RECALL_QUERIES = 200
LOOKED_AT = 10  # a neighbour must be older: look at so many times more candidates than are kept


def items(lake: Lake, release: Pinned, size: int) -> tuple[pa.Table, npt.NDArray[np.float32]]:
    """What the index holds: a row an issue (IDS_COLUMNS and day), and its vector, in the same order.

    Superseded issues and those without a known word (a zero vector) are left out.
    """
    plan = release.plan()
    tables, vectors = [], []
    for day, manifest in zip(plan.days, release.members(EMBEDDINGS.name, "embed"), strict=True):
        issues = lake.read(release.issues(day), ISSUES, IDS_COLUMNS)
        matrix = id_matrix(lake.read(manifest, EMBEDDINGS).column("embedding"), size).astype(np.float32)
        mask = keep_mask(plan, day.day, issues.column("issue_id").to_numpy()) & matrix.any(axis=1)
        tables.append(issues.filter(mask).append_column("day", pa.array([day.day] * int(mask.sum()), pa.string())))
        vectors.append(matrix[mask])
    return pa.concat_tables(tables), np.concatenate(vectors)


def neighbours(
    ids: pa.Table, vectors: npt.NDArray[np.float32], index: ann.Index, wanted: npt.NDArray[np.int64], settings: Index
) -> Iterator[dict[str, object]]:
    """Rows of similar_issues_v1 for the items `wanted`: up to `settings.neighbours` issues that were opened before each."""
    created = ids.column("created_at").to_numpy()
    issue_ids, urls = ids.column("issue_id").to_pylist(), ids.column("issue_url").to_pylist()
    repos, titles = ids.column("repo").to_pylist(), ids.column("title").to_pylist()
    for item in wanted.tolist():
        rank = 0
        for other, distance in index.nearest(vectors[item], settings.neighbours * LOOKED_AT, settings.search_k):
            older = (created[other], issue_ids[other]) < (created[item], issue_ids[item])
            if not older or rank == settings.neighbours:
                continue
            rank += 1
            yield {
                "issue_id": issue_ids[item],
                "issue_url": urls[item],
                "rank": rank,
                "similar_issue_id": issue_ids[other],
                "similar_issue_url": urls[other],
                "similar_title": titles[other],
                "distance": distance,
                "same_repo": repos[item] == repos[other],
                "near_duplicate": distance < settings.near_duplicate_distance,
            }


def run(lake: Lake, release: Pinned, settings: Index) -> Manifest:
    """The release's index, made once, and the neighbours of the days whose issues have none stored yet.

    Raises UsageError where the release was not embedded.
    """
    plan = release.plan()
    embeddings = release.members(EMBEDDINGS.name, "embed")
    parameters = {"settings": settings.model_dump(), "superseded": plan.superseded}
    inputs = [manifest.digest for manifest in embeddings]
    partition = {"release": release.name}
    found = lake.find(INDEX, partition, inputs, parameters)
    if found is not None and release.has_members(SIMILAR_ISSUES.name):
        release.set_members(INDEX, [found])
        return found

    size = lake.manifest(plan.facts["predictor"]).figures["hidden_size"]
    ids, vectors = items(lake, release, size)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        path = Path(folder) / "issues.ann"
        ann.build([vectors], size, path, trees=settings.trees, seed=settings.seed)
        index = ann.Index(path, size)
        if found is None:
            found = _commit(lake, release, path, ids, vectors, index, settings)
        _store_neighbours(lake, release, ids, vectors, index, settings)
    release.set_members(INDEX, [found])
    return found


def _commit(
    lake: Lake, release: Pinned, path: Path, ids: pa.Table, vectors: npt.NDArray[np.float32], index: ann.Index, settings: Index
) -> Manifest:
    plan = release.plan()
    queries = np.sort(np.random.default_rng(settings.seed).permutation(len(ids))[:RECALL_QUERIES])
    figures = {
        "items": len(ids),
        "size": vectors.shape[1],
        "recall_at_10": ann.recall(index, vectors, queries, search_k=settings.search_k),
        "recall_queries": len(queries),
    }
    inputs = [manifest.digest for manifest in release.members(EMBEDDINGS.name, "embed")]
    parameters = {"settings": settings.model_dump(), "superseded": plan.superseded}
    draft = lake.draft(INDEX, {"release": release.name}, inputs, parameters)
    draft.write_file("issues.ann", path.read_bytes())
    buffer = io.BytesIO()
    pq.write_table(ids, buffer, compression="zstd")
    draft.write_file("ids.parquet", buffer.getvalue(), len(ids))
    return draft.commit(figures)


def _store_neighbours(
    lake: Lake, release: Pinned, ids: pa.Table, vectors: npt.NDArray[np.float32], index: ann.Index, settings: Index
) -> None:
    facts = release.plan().facts
    days = ids.column("day").to_numpy(zero_copy_only=False)
    embeddings = release.members(EMBEDDINGS.name, "embed")
    manifests = []
    for embedded in track(embeddings, "neighbours", len(embeddings)):
        partition = {"model": facts["model"], "day": embedded.day}
        manifest = lake.find(SIMILAR_ISSUES.name, partition, (embedded.digest,), facts["settings"])
        if manifest is None:
            rows = list(neighbours(ids, vectors, index, np.flatnonzero(days == embedded.day), settings))
            draft = lake.draft(SIMILAR_ISSUES.name, partition, (embedded.digest,), facts["settings"])
            draft.write_table("part-00000.parquet", pa.Table.from_pylist(rows, schema=SIMILAR_ISSUES.schema), SIMILAR_ISSUES)
            manifest = draft.commit()
        manifests.append(manifest)
    release.set_members(SIMILAR_ISSUES.name, manifests)
