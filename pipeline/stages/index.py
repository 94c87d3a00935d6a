"""Stage `index`: finds the neighbours (most similar older issues) of every issue of a release.

It builds an Annoy index from embeddings_v1. It measures the recall of the index: the share of the exact
nearest neighbours that the index finds. Then it writes the neighbours to similar_issues_v1.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.contracts import EMBEDDINGS, INDEX, SIMILAR_ISSUES
from pipeline.index import annoy_index
from pipeline.index.neighbours import OlderNeighbours
from pipeline.index.recall import measure_recall
from pipeline.index.release_index import INDEX_FILE, ITEMS_FILE, items_of_release, items_to_parquet
from pipeline.lake.batches import Lake
from pipeline.lake.embedding_network import network_of_release
from pipeline.lake.manifest import Manifest
from pipeline.lake.pinned import Pinned
from pipeline.progress import track
from pipeline.releases.audit import check_recall
from pipeline.settings import Index

RECALL_QUERIES = 200
"""Number of issues whose neighbours are searched to measure the recall."""


def run(lake: Lake, release: Pinned, settings: Index) -> Manifest:
    """Builds the index of a release, and stores the neighbours (most similar older issues) of its issues.

    Returns the batch of the index. If the release already has its index and neighbours, they are reused.
    Raises UsageError if the stage `embed` has not run for the release. Raises StoppedError, and stores no
    neighbours, if the recall of the index is below `index.min_recall`.
    """
    plan, embeddings = release.plan, release.members[EMBEDDINGS.name]
    parameters = {"settings": settings.model_dump(), "superseded": plan.superseded}
    inputs = [manifest.digest for manifest in embeddings]
    existing = lake.find(INDEX, {"release": release.name}, inputs, parameters)
    is_member = existing is not None and release.members.folders(INDEX) == [existing.folder]
    if existing is not None and is_member and SIMILAR_ISSUES.name in release.members:
        return existing

    size = lake.manifest(plan.facts["predictor"]).figures["hidden_size"]
    items, vectors = items_of_release(lake, release, size)
    with tempfile.TemporaryDirectory(prefix="titler-") as folder:
        path = Path(folder) / INDEX_FILE
        annoy_index.build([vectors], size, path, trees=settings.trees, seed=settings.seed)
        index = annoy_index.Index(path, size)
        draft = lake.draft(INDEX, {"release": release.name}, inputs, parameters)
        draft.write_file(INDEX_FILE, path.read_bytes())
        draft.write_file(ITEMS_FILE, items_to_parquet(items), len(items))
        queries = np.sort(np.random.default_rng(settings.seed).permutation(len(items))[:RECALL_QUERIES])
        recall = measure_recall(index, vectors, queries, search_k=settings.search_k)
        figures = {"items": len(items), "size": size, "recall_at_10": recall, "recall_queries": len(queries)}
        manifest = draft.commit(figures)
        check_recall(release.name, manifest, settings)
        neighbours = OlderNeighbours(items, vectors, index, settings.search_k)
        _store_neighbours(lake, release, items, neighbours)
    release.members.put(INDEX, [manifest])
    return manifest


def _store_neighbours(lake: Lake, release: Pinned, items: pa.Table, neighbours: OlderNeighbours) -> None:
    """Adds one batch of similar_issues_v1 per day to the release. Reuses the day's existing batch, or writes
    a new one. Batches are stored under the name of the model that trained the embedding network."""
    facts, owner = release.plan.facts, network_of_release(release.plan).model
    parameters = {name: facts[name] for name in ("neighbours", "near_duplicate_distance")}
    item_days = items.column("day").to_numpy(zero_copy_only=False)
    embeddings = release.members[EMBEDDINGS.name]
    manifests = []
    for embedded in track(embeddings, "neighbours", len(embeddings)):
        partition = {"model": owner, "day": embedded.day}
        manifest = lake.find(SIMILAR_ISSUES.name, partition, (embedded.digest,), parameters)
        if manifest is None:
            rows = list(neighbours.rows(np.flatnonzero(item_days == embedded.day), **parameters))
            draft = lake.draft(SIMILAR_ISSUES.name, partition, (embedded.digest,), parameters)
            table = pa.Table.from_pylist(rows, schema=SIMILAR_ISSUES.schema)
            draft.write_table("part-00000.parquet", table, SIMILAR_ISSUES)
            manifest = draft.commit()
        manifests.append(manifest)
    release.members.put(SIMILAR_ISSUES.name, manifests)
